"""Writes rows as they come to shards of JSON Lines or Parquet, holding one group of rows at a time."""

import hashlib
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from burnish.data.record import RowError, check_size
from burnish.data.shards.columns import Columns, as_table
from burnish.data.shards.manifest import Manifest, Shard, begin

Form = Literal["jsonl", "parquet"]
SAMPLE_ROWS = 20
SHARD_BYTES = 256_000_000
_GROUP_BYTES, _GROUP_ROWS = 32_000_000, 50_000
_BUFFER = 1 << 20
_SPILL = ".spill"
_UNSAFE = re.compile(r"[^\w.-]+|^\.+")


class ShardWriter:
    """Rows to `rows/<split>-00000.jsonl` or `.parquet`, the first of each split to `sample.jsonl`, and the manifest.

    A shard is cut where the rows in it have `shard_bytes` as JSON. Parquet needs the types of the columns before the
    first row: they are those of `columns`, a summary of all rows that are going to be written. Without one, the rows
    are kept as JSON Lines first, and converted at the end. `about` goes to the manifest (source, revision, licence);
    it may be added to until the end. An exception leaves a folder that readers refuse as unfinished.
    """

    def __init__(
        self,
        folder: Path,
        form: Form = "jsonl",
        *,
        about: Mapping[str, Any] | None = None,
        columns: Columns | None = None,
        shard_bytes: int = SHARD_BYTES,
    ):
        self.folder, self.form = folder, form
        self.about: dict[str, Any] = dict(about or {})
        self.rows: dict[str, int] = {}
        """Rows written, by split."""
        self.manifest: Manifest | None = None
        """Of what was written, at the end."""
        self._given, self._columns = columns, Columns()
        self._shard_bytes = shard_bytes
        self._files: dict[str, _Split] = {}
        self._sample: IO[bytes] | None = None

    def __enter__(self) -> "ShardWriter":
        self.folder.mkdir(parents=True, exist_ok=True)
        begin(self.folder)
        shutil.rmtree(self.folder / "rows", ignore_errors=True)  # of an attempt that was killed
        (self.folder / "rows").mkdir()
        self._sample = (self.folder / "sample.jsonl").open("wb")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._sample is not None:
            self._sample.close()
        try:
            shards = [shard for split in self._files.values() for shard in split.close()]
            if kind is None:
                columns = self._given or self._columns
                if self._is_spilled:
                    shards = self._converted(shards)
                self.manifest = Manifest(tuple(shards), columns.as_dict(), self.about)
                self.manifest.write(self.folder)
        finally:
            shutil.rmtree(self.folder / _SPILL, ignore_errors=True)

    def write(self, raw: Mapping[str, Any], split: str = "train", encoded: bytes | None = None) -> None:
        """Add one row; `encoded` is its JSON in UTF-8 without a line end, where the caller has it.

        RowError for a row without columns, or with a value that JSON lacks: nothing of it is written.
        """
        if not raw:
            raise RowError("", "the row has no columns")
        line = encoded if encoded is not None else _encoded(raw)
        check_size(len(line))
        if self._given is None:
            self._columns.observe(raw)
        self._file(split).write(raw, line)
        self._count(split, [line])

    def write_lines(self, lines: Sequence[bytes], split: str = "train") -> None:
        """Add rows to JSON Lines by their JSON alone, as `write` gets it; `columns` must be given.

        RowError for a row that is too long: none of them is written.
        """
        if self.form != "jsonl" or self._given is None:
            raise ValueError("rows can only be written as lines to JSON Lines whose columns are given")
        check_size(max(map(len, lines), default=0))
        self._file(split).write_lines(lines)
        self._count(split, lines)

    def _file(self, split: str) -> "_Split":
        file = self._files.get(split)
        if file is None:
            file = self._files[split] = self._opened(split)
            self.rows[split] = 0
        return file

    def _count(self, split: str, lines: Sequence[bytes]) -> None:
        """Count rows that are written, and add those to the sample that are among the first."""
        for line in lines[: max(0, SAMPLE_ROWS - self.rows[split])]:
            if self._sample is not None:
                self._sample.write(b'{"split":%s,"row":%s}\n' % (json.dumps(split).encode(), line))
        self.rows[split] += len(lines)

    @property
    def _is_spilled(self) -> bool:
        return self.form == "parquet" and self._given is None

    def _opened(self, split: str) -> "_Split":
        stem = _stem(split, {file.stem for file in self._files.values()})
        if self._is_spilled:
            (self.folder / _SPILL).mkdir(exist_ok=True)
            return _Split(self.folder, f"{_SPILL}/{stem}", split, self._shard_bytes, None)
        schema = self._given.schema() if self.form == "parquet" and self._given is not None else None
        return _Split(self.folder, f"rows/{stem}", split, self._shard_bytes, schema)

    def _converted(self, spilled: list[Shard]) -> list[Shard]:
        """The rows that were kept as JSON Lines, as Parquet: shard by shard, in their order."""
        schema = self._columns.schema()
        found: list[Shard] = []
        for shard in spilled:
            path = self.folder / shard.file
            stem = f"rows/{path.name.removesuffix('.jsonl')}"
            with _ParquetShard(self.folder / f"{stem}.parquet", schema) as out, path.open("rb") as lines:
                for line in lines:
                    out.write(json.loads(line), line)
            path.unlink()
            found.append(_shard(self.folder, f"{stem}.parquet", shard.split, shard.rows))
        return found


class _File(Protocol):
    def write(self, raw: Mapping[str, Any], line: bytes) -> None: ...

    def close(self) -> None: ...


class _Split:
    """The shards of one split, one of them open; Parquet if there is a schema."""

    def __init__(self, folder: Path, stem: str, split: str, shard_bytes: int, schema: pa.Schema | None):
        self.stem = stem.rpartition("/")[2]
        self._folder, self._at, self._split, self._shard_bytes, self._schema = folder, stem, split, shard_bytes, schema
        self._shards: list[Shard] = []
        self._open: _File | None = None
        self._name, self._rows, self._bytes = "", 0, 0

    def write(self, raw: Mapping[str, Any], line: bytes) -> None:
        if self._open is None or self._bytes >= self._shard_bytes:
            self._next()
        assert self._open is not None
        self._open.write(raw, line)
        self._rows += 1
        self._bytes += len(line) + 1

    def write_lines(self, lines: Sequence[bytes]) -> None:
        """As `write` of one after the other; at once where no shard ends among them."""
        size = sum(map(len, lines)) + len(lines)
        if not isinstance(self._open, _LinesShard) or self._bytes + size > self._shard_bytes:
            for line in lines:
                self.write({}, line)
            return
        self._open.write_lines(lines)
        self._rows += len(lines)
        self._bytes += size

    def close(self) -> list[Shard]:
        """The shards, all of them complete."""
        if self._open is not None:
            self._open.close()
            self._open = None
            self._shards.append(_shard(self._folder, self._name, self._split, self._rows))
        return self._shards

    def _next(self) -> None:
        self.close()
        ending = "jsonl" if self._schema is None else "parquet"
        self._name, self._rows, self._bytes = f"{self._at}-{len(self._shards):05}.{ending}", 0, 0
        path = self._folder / self._name
        self._open = _LinesShard(path) if self._schema is None else _ParquetShard(path, self._schema)


class _LinesShard:
    def __init__(self, path: Path):
        self._file = path.open("wb", buffering=_BUFFER)

    def write(self, raw: Mapping[str, Any], line: bytes) -> None:
        self._file.write(line)
        self._file.write(b"\n")

    def write_lines(self, lines: Sequence[bytes]) -> None:
        self._file.write(b"\n".join([*lines, b""]))

    def close(self) -> None:
        self._file.close()


class _ParquetShard:
    def __init__(self, path: Path, schema: pa.Schema):
        self._schema, self._names = schema, set(schema.names)
        self._writer = pq.ParquetWriter(path, schema, compression="zstd")
        self._group: list[Mapping[str, Any]] = []
        self._bytes = 0

    def __enter__(self) -> "_ParquetShard":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, raw: Mapping[str, Any], line: bytes) -> None:
        if not raw.keys() <= self._names:
            raise ValueError(f"columns that the summary of the rows lacks: {sorted(raw.keys() - self._names)}")
        self._group.append(raw)
        self._bytes += len(line)
        if self._bytes >= _GROUP_BYTES or len(self._group) >= _GROUP_ROWS:
            self._flush()

    def close(self) -> None:
        try:
            self._flush()
        finally:
            self._writer.close()

    def _flush(self) -> None:
        group, self._group, self._bytes = self._group, [], 0
        if group:
            self._writer.write_table(as_table(group, self._schema))


def _shard(folder: Path, name: str, split: str, rows: int) -> Shard:
    path = folder / name
    with path.open("rb") as file:
        return Shard(name, split, rows, path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


def _encoded(raw: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(raw, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except (ValueError, TypeError, RecursionError) as error:  # UnicodeEncodeError is a ValueError
        raise RowError("", f"the row cannot be written as JSON: {error}") from error


def _stem(split: str, taken: set[str]) -> str:
    """A file name for a split, which may be called anything; different from those that are taken."""
    stem = _UNSAFE.sub("_", split)[:80] or "rows"
    number, found = 1, stem
    while found.lower() in {name.lower() for name in taken}:
        number += 1
        found = f"{stem}_{number}"
    return found
