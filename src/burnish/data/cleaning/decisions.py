"""Every row with what became of it, in the order of the source."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress, groupby
from operator import itemgetter
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa

from burnish.data.cleaning.encoding import decoded, line_of
from burnish.data.cleaning.files import ChunkFiles, Found
from burnish.data.dedup.keeping import Duplicates
from burnish.data.shards.writer import ShardWriter

EXACT, NEAR = "duplicate", "near duplicate"


@dataclass(frozen=True)
class Kept:
    """Rows of one split that are kept and stand together, as JSON."""

    rows: Sequence[bytes]
    split: str

    def write(self, writer: ShardWriter) -> None:
        """Write them; for JSON Lines no row is parsed."""
        if writer.form == "jsonl":
            writer.write_lines([line_of(row) for row in self.rows], self.split)
            return
        for row in self.rows:
            raw, line = decoded(row)
            writer.write(raw, self.split, line)


@dataclass(frozen=True)
class Dropped:
    """A row that is dropped, as JSON.

    `others` names the row that is `kept` in its place, or that of an `evaluation` which it has parts of.
    """

    row: bytes
    source: str
    split: str
    reason: str
    others: Mapping[str, str] = field(default_factory=dict)


class Sources:
    """The sources of rows by their number, looked up in the files of the chunks."""

    def __init__(self, found: list[pa.RecordBatch]):
        self._columns = [batch.column("source") for batch in found]
        self._bounds = np.concatenate([[0], np.cumsum([len(column) for column in self._columns])])

    def __getitem__(self, number: int) -> str:
        at = int(np.searchsorted(self._bounds, number, side="right")) - 1
        return self._columns[at][number - int(self._bounds[at])].as_py()


def decisions(folder: Path, chunks: int, found: Found, duplicates: Duplicates) -> Iterator[Kept | Dropped]:
    """The decision on each row; the rows of a chunk are removed from the disk when it is done."""
    sources, every = Sources(found.batches), iter(found.batches)
    start = 0
    for chunk in range(chunks):
        files = ChunkFiles(folder, chunk)
        for batch in files.rows():
            yield from _of_batch(batch, next(every), start, duplicates, sources)
            start += len(batch)
        files.remove_rows()
        found.release()


def _of_batch(
    batch: pa.RecordBatch, found: pa.RecordBatch, start: int, duplicates: Duplicates, sources: Sources
) -> Iterator[Kept | Dropped]:
    """The decisions on the rows of a batch, those that are kept first; `start` is the number of its first row."""
    rows, splits = batch.column("row").to_pylist(), batch.column("split").to_pylist()
    kept = duplicates.kept[start : start + len(batch)]
    is_first = kept == np.arange(start, start + len(batch))
    is_left = is_first & found.column("is_kept").to_numpy(zero_copy_only=False)
    for split, part in groupby(compress(zip(splits, rows, strict=True), is_left), key=itemgetter(0)):
        yield Kept([row for _, row in part], split)
    for i in np.flatnonzero(~is_left).tolist():
        if is_first[i]:
            reason, evaluation = batch.column("reason")[i].as_py(), batch.column("evaluation")[i].as_py()
            others = {"evaluation": evaluation} if evaluation else {}
        else:
            reason, others = EXACT if duplicates.is_exact[start + i] else NEAR, {"kept": sources[int(kept[i])]}
        yield Dropped(rows[i], found.column("source")[i].as_py(), splits[i], reason, others)


class Removed:
    """Writes the rows that are dropped, one JSON object a line, each with its source and reason; or does not."""

    def __init__(self, path: Path | None):
        self._path = path
        self._file: IO[bytes] | None = None

    def __enter__(self) -> "Removed":
        self._file = None if self._path is None else self._path.open("wb")
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, dropped: Dropped) -> None:
        """Add a dropped row."""
        if self._file is None:
            return
        about = {"source": dropped.source, "split": dropped.split, "reason": dropped.reason}
        head = json.dumps(about | dict(dropped.others), ensure_ascii=False).encode()
        self._file.write(head[:-1] + b', "row": ' + dropped.row.lstrip() + b"}\n")
