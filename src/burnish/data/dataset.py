"""A prepared dataset on disk: written as a stream, and read back row by row (docs/architecture/contracts.md)."""

import json
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from burnish.core.context import Input
from burnish.core.errors import DataError
from burnish.core.printable import one_line
from burnish.data.document import Row
from burnish.data.mapping import detect, map_rows
from burnish.data.profile import Profile
from burnish.data.reader import read
from burnish.data.record import Bad, ReadReport, Record
from burnish.data.shards.content import check_content
from burnish.data.shards.manifest import Manifest, read_manifest
from burnish.data.splits.names import split_by_name
from burnish.data.splits.split import SPLITS

SAMPLE_ROWS = 20
_BATCH_ROWS, _BATCH_CHARACTERS = 1000, 4_000_000
_COLUMNS = [
    ("id", pa.string()),
    ("source", pa.string()),
    ("kind", pa.string()),
    ("tag", pa.string()),
    ("row", pa.string()),
]
_COUNTED = [("tokens", pa.int32()), ("learned", pa.int32())]


class DatasetWriter:
    """Writes rows to `<split>.parquet` and the first of each split to `sample.jsonl`, holding one batch at a time."""

    def __init__(self, folder: Path, counted: bool = False):
        self.folder, self._counted = folder, counted
        self._schema = pa.schema(_COLUMNS + _COUNTED if counted else _COLUMNS)
        self._writers: dict[str, pq.ParquetWriter] = {}
        self._batches: dict[str, list[dict[str, Any]]] = {}
        self._characters: dict[str, int] = {}
        self._sample: IO[str] | None = None
        self.rows: dict[str, int] = {}
        """Rows written, by split."""

    def __enter__(self) -> "DatasetWriter":
        self.folder.mkdir(parents=True, exist_ok=True)
        self._sample = (self.folder / "sample.jsonl").open("w", encoding="utf-8")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for split in list(self._batches):
            self._flush(split)
        for writer in self._writers.values():
            writer.close()
        if self._sample is not None:
            self._sample.close()

    def write(self, row: Row, split: str, tokens: int = 0, learned: int = 0) -> None:
        """Add one row; `tokens` and `learned` are kept where the dataset was opened as counted."""
        encoded = json.dumps(row, ensure_ascii=False, separators=(",", ":"))
        line = {"id": row["id"], "source": row["source"], "kind": row["kind"], "tag": row.get("tag"), "row": encoded}
        if self._counted:
            line |= {"tokens": tokens, "learned": learned}
        batch = self._batches.setdefault(split, [])
        batch.append(line)
        self._characters[split] = self._characters.get(split, 0) + len(encoded)
        self.rows[split] = self.rows.get(split, 0) + 1
        if self.rows[split] <= SAMPLE_ROWS and self._sample is not None:
            self._sample.write(json.dumps({"split": split} | row, ensure_ascii=False, separators=(",", ":")) + "\n")
        if len(batch) >= _BATCH_ROWS or self._characters[split] >= _BATCH_CHARACTERS:
            self._flush(split)

    def _flush(self, split: str) -> None:
        if not self._batches[split]:
            return
        if split not in self._writers:
            self._writers[split] = pq.ParquetWriter(split_file(self.folder, split), self._schema, compression="zstd")
        self._writers[split].write_table(pa.Table.from_pylist(self._batches[split], schema=self._schema))
        self._batches[split], self._characters[split] = [], 0


def is_prepared(path: Path) -> bool:
    """A folder that `prepare` or `synthesize` wrote."""
    return path.is_dir() and (path / "stats.json").exists() and bool(splits(path))


def splits(path: Path) -> list[str]:
    """The splits that a prepared dataset has rows of."""
    return [split for split in SPLITS if split_file(path, split).exists()]


def split_file(path: Path, split: str) -> Path:
    """Where a prepared dataset keeps the rows of a split."""
    return path / f"{split}.parquet"


def read_rows(path: Path, split: str) -> Iterator[Row]:
    """The rows of a split of a prepared dataset, in their order. DataError `data.not-prepared` when it has none."""
    for row, _ in read_counted(path, split):
        yield row


def read_counted(path: Path, split: str) -> Iterator[tuple[Row, dict[str, int]]]:
    """Rows with their `tokens` and `learned` where `prepare` rendered them (else an empty dict)."""
    file = _rows_file(path, split)
    with open_split(file) as parquet:
        names = [name for name in ("row", "tokens", "learned") if name in parquet.schema_arrow.names]
        if "row" not in names:
            raise DataError("data.not-prepared", f"{file} has no column 'row'", "make it with `burnish prepare`")
        for batch in parquet.iter_batches(batch_size=256, columns=names):
            for line in batch.to_pylist():
                yield json.loads(line.pop("row")), line


def find_rows(input: Input, split: str, ids: Collection[str]) -> Iterator[Row]:
    """The rows of a split with these ids, in their order; each occurrence of equal rows. Errors: those of `open_rows`.

    Of a prepared dataset only the groups of rows that have one are read.
    """
    if not is_prepared(input.path):
        yield from (row for row in open_rows(input, split) if row["id"] in ids)
        return
    with open_split(_rows_file(input.path, split)) as parquet:
        for group in range(parquet.num_row_groups):
            names = parquet.read_row_group(group, columns=["id"])["id"].to_pylist()
            places = [place for place, name in enumerate(names) if name in ids]
            if places:
                found = parquet.read_row_group(group, columns=["row"]).take(places)["row"]
                yield from map(json.loads, found.to_pylist())


def row_count(path: Path, split: str) -> int:
    """How many rows a split of a prepared dataset has, without reading them. Errors: those of `open_split`."""
    file = split_file(path, split)
    if not file.exists():
        return 0
    with open_split(file) as parquet:
        return parquet.metadata.num_rows


@contextmanager
def open_split(file: Path) -> Generator[pq.ParquetFile]:
    """The file of a split. DataError `data.unreadable` with its path if it is damaged, also where that is found only
    when its rows are read."""
    try:
        with pq.ParquetFile(file) as parquet:
            yield parquet
    except (pa.ArrowException, OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        fix = "restore it from a copy, or remove its step and run the recipe again"
        raise DataError("data.unreadable", f"{file} cannot be read: {one_line(str(error)):.300}", fix) from error


def _rows_file(path: Path, split: str) -> Path:
    """The file of a split. DataError `data.not-prepared` when there is none."""
    file = split_file(path, split)
    if not file.exists():
        raise _empty_split(path, split) if _was_requested(path, split) else _no_split(str(path), split, splits(path))
    return file


def split_names(input: Input) -> list[str]:
    """The splits that `open_rows` can give of an input: those of a prepared dataset or of rows with a manifest, else
    `train` alone."""
    if is_prepared(input.path):
        return splits(input.path)
    manifest = read_manifest(input.path) if input.path.is_dir() else None
    return _splits_of(manifest) if manifest is not None else ["train"]


def split_of(input: Input, wanted: str) -> str:
    """The split to read where `wanted` is requested: a raw file or folder is one split, `train`."""
    return wanted if is_prepared(input.path) or split_names(input) != ["train"] else "train"


def _splits_of(manifest: Manifest) -> list[str]:
    names = {split_by_name(name) or "train" for name, rows in manifest.splits.items() if rows}
    return [split for split in SPLITS if split in names]


def open_rows(input: Input, split: str, report: Callable[[str], None] | None = None) -> Iterator[Row]:
    """The rows of a split of a prepared dataset or of rows with a manifest, or every row of a raw file or folder as
    split `train`.

    Raw rows are mapped by their detected layout; `report` gets the layout, and at the end the unmapped columns. Bad
    rows are not counted here: the first one is DataError `data.too-many-bad-rows` with its file, line and field.
    `burnish prepare` quarantines them. DataError `data.empty` for a raw file without rows.
    """
    if is_prepared(input.path):
        yield from read_rows(input.path, split)
        return
    if split not in (there := split_names(input)):
        raise _no_split(input.ref, split, there)
    if input.kind == "git":
        raise DataError(
            "data.not-prepared",
            f"{input.ref} is a Git repository, and its commit is not checked out",
            "make a dataset of it with `burnish prepare`, which fetches it, and give that",
        )
    check_content(input)
    reading, profile = ReadReport(), Profile()
    try:
        found, items = detect(_of_split(read(input.path, reading), split, there), input.ref)
    except DataError as error:
        raise _as_step(error) from None
    if (first := next(items, None)) is None:
        raise DataError("data.empty", f"{input.ref} has no rows", "check the path and its content")
    items = chain([first], items)
    if report is not None:
        report(f"{input.ref}: format {found.format.name}, since {found.reason}")
    for item in map_rows(items, found):
        if isinstance(item, Bad):
            raise DataError(
                "data.too-many-bad-rows",
                str(item),
                "fix the row, or run `burnish prepare` on the file first: it quarantines bad rows and counts them",
            )
        if report is not None:
            profile.add(item.row, remarks=item.remarks)
        yield item.row
    if report is not None:
        unread = (sentence for sentence, _ in reading.messages())
        for sentence in [*reading.notes, *unread, *profile.messages()]:
            report(sentence)


def _of_split(items: Iterator[Record | Bad], split: str, there: list[str]) -> Iterator[Record | Bad]:
    """Those of one split, of rows that have several; what is in none is trained on."""
    if there == ["train"]:
        return items
    return (item for item in items if isinstance(item, Bad) or (item.split or "train") == split)


def _as_step(error: DataError) -> DataError:
    """The same error where `format` and `columns` are no settings: they are those of a step of its own."""
    if not error.fix.startswith("set `format"):
        return error
    fix = f"add a step with `stage: prepare` and the file as its `source`, whose rows are the data; there {error.fix}"
    return DataError(error.code, error.reason, fix, error.place)


def _was_requested(path: Path, split: str) -> bool:
    """Whether `prepare` was given the split: its statistics then list the split, if only with 0 rows."""
    stats = path / "stats.json"
    return stats.exists() and split in json.loads(stats.read_text(encoding="utf-8")).get("splits", {})


def _empty_split(path: Path, split: str) -> DataError:
    return DataError(
        "data.not-prepared",
        f"the split '{split}' of {path} is empty: it has {', '.join(splits(path))}",
        f"prepare it with more rows, a larger share of `split.{split}` or another `split.seed`, or name another split",
    )


def _no_split(name: str, split: str, there: list[str]) -> DataError:
    has = f"it has {', '.join(there)}" if there else "it is not a prepared dataset"
    return DataError(
        "data.not-prepared",
        f"{name} has no split '{split}': {has}",
        f"prepare it with `split: {{{split}: 0.1}}`, or name another split",
    )
