"""Every row with what became of it, in the order of the source."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa

from burnish.data.cleaning.files import ChunkFiles, Found
from burnish.data.dedup.keeping import Duplicates

EXACT, NEAR = "duplicate", "near duplicate"


@dataclass(frozen=True)
class Decision:
    """A row as JSON; `reason` is empty where it is kept.

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


def decisions(folder: Path, chunks: int, found: Found, duplicates: Duplicates) -> Iterator[Decision]:
    """The decision on each row; the rows of a chunk are removed from the disk when it is done."""
    sources, every = Sources(found.batches), iter(found.batches)
    number = 0
    for chunk in range(chunks):
        files = ChunkFiles(folder, chunk)
        for batch in files.rows():
            names = next(every)
            kept = duplicates.kept[number : number + len(batch)].tolist()
            lines = zip(
                *(batch.column(name).to_pylist() for name in ("row", "split", "reason", "evaluation")), strict=True
            )
            listed = zip(lines, names.column("source").to_pylist(), kept, strict=True)
            for (row, split, reason, evaluation), source, of in listed:
                if of == number:
                    yield Decision(row, source, split, reason, {"evaluation": evaluation} if evaluation else {})
                else:
                    reason = EXACT if duplicates.is_exact[number] else NEAR
                    yield Decision(row, source, split, reason, {"kept": sources[of]})
                number += 1
        files.remove_rows()
        found.release()


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

    def write(self, decision: Decision) -> None:
        """Add a dropped row."""
        if self._file is None:
            return
        about = {"source": decision.source, "split": decision.split, "reason": decision.reason}
        head = json.dumps(about | dict(decision.others), ensure_ascii=False).encode()
        self._file.write(head[:-1] + b', "row": ' + decision.row.lstrip() + b"}\n")
