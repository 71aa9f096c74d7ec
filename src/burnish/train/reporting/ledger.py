"""The row ledger: the loss of every training row at every visit, appended during the run.

A record has 20 bytes, and 4 for each further value of a row that the objective gives. Visits are written with each
checkpoint, which records the length of the file and its sha256; a resumed run checks and truncates it there, so no
visit is lost, repeated or changed. At the end it becomes `rows.parquet`. `rows.json` beside it holds the ids of the
rows and the names of the values, so that it can be read before (`reporting.visits`).
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from burnish.core.files import sync, write_json

if TYPE_CHECKING:
    import pyarrow as pa

RECORD = np.dtype([("row", "<i4"), ("epoch", "<i4"), ("step", "<i4"), ("loss", "<f4"), ("learned", "<i4")])
_BLOCK = 1 << 20


@dataclass(frozen=True)
class LedgerType:
    """The records of a ledger: those of `RECORD`, and a float32 for each of `values`."""

    values: tuple[str, ...] = ()

    @property
    def dtype(self) -> np.dtype:
        return np.dtype([*RECORD.descr, *((name, "<f4") for name in self.values)])

    def visits(self, offset: int) -> str:
        """The number of visits in so many bytes."""
        return f"{offset // self.dtype.itemsize:,} visits of rows"

    def read(self, path: Path, size: int | None = None) -> NDArray[np.void]:
        """The records of a file, or those that are whole in its first `size` bytes."""
        return np.fromfile(path, self.dtype, -1 if size is None else size // self.dtype.itemsize)

    def record(
        self, rows: NDArray[np.int64], epoch: int, step: int, values: NDArray, learned: NDArray
    ) -> NDArray[np.void]:
        """Records of one step's rows; `values` [1 + N, rows] are their losses, then the further values."""
        records = np.zeros(len(rows), self.dtype)
        records["row"], records["epoch"], records["step"], records["learned"] = rows, epoch, step, learned
        for name, numbers in zip(("loss", *self.values), values, strict=True):
            records[name] = numbers
        return records


class RowLedger:
    """Appends visits to a binary file; a resumed run keeps its first `offset` bytes, which `damage` checked."""

    def __init__(self, path: Path, offset: int = 0):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = path.open("ab", buffering=0)
        self._file.truncate(offset)
        self._file.seek(offset)
        for folder in (path.parent, path.parent.parent):  # the file's name must be as durable as its bytes
            sync(folder)
        self._hash = hashlib.sha256()
        for block in _blocks(path, offset):
            self._hash.update(block)
        self._unwritten: list[bytes] = []

    @property
    def sha256(self) -> str:
        """The digest of everything written."""
        return self._hash.hexdigest()

    def append(self, visits: list[NDArray[np.void]]) -> None:
        """Add records of a `LedgerType`, in the order in which one process computes the rows of the step."""
        self._unwritten += [records.tobytes() for records in visits]

    def write(self) -> int:
        """Write all added records; returns the offset for a checkpoint, durable after `sync`."""
        new = b"".join(self._unwritten)
        rest = memoryview(new)
        while rest:
            rest = rest[self._file.write(rest) :]
        self._hash.update(new)
        self._unwritten.clear()
        return self._file.tell()

    def sync(self) -> None:
        """Flush the file to the disk; may be called from another thread."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def damage(path: Path, offset: int, sha256: str, type: LedgerType = LedgerType()) -> str | None:
    """Why the first `offset` bytes of a ledger are not those of a checkpoint; None if they are."""
    found, size = hashlib.sha256(), 0
    try:
        for block in _blocks(path, offset):
            found.update(block)
            size += len(block)
    except FileNotFoundError:
        return None if offset == 0 else "it is missing"
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    if size < offset:
        return f"it has {size:,} bytes instead of {offset:,}"
    if sha256 not in ("", found.hexdigest()):
        return f"its first {offset:,} bytes ({type.visits(offset)}) do not match their sha256"
    return None


def _blocks(path: Path, size: int) -> Iterator[bytes]:
    """The first `size` bytes of a file, or fewer if it is shorter."""
    with path.open("rb") as file:
        while size > 0 and (block := file.read(min(size, _BLOCK))):
            size -= len(block)
            yield block


def name_rows(path: Path, row_ids: Sequence[str], type: LedgerType = LedgerType()) -> None:
    """Write the ids of the rows that a ledger counts from 0, and the names of its values, beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path.with_name("rows.json"), {"ids": row_ids, "values": type.values})


def publish(path: Path, row_ids: Sequence[str], target: Path, type: LedgerType = LedgerType()) -> None:
    """Write the ledger as parquet, with the columns of `as_table`."""
    import pyarrow.parquet as pq

    pq.write_table(as_table(type.read(path), row_ids), target)


def as_table(records: NDArray[np.void], row_ids: Sequence[str]) -> "pa.Table":
    """The columns id, epoch, step, loss, learned_tokens and values; one line per visit of a row.

    A further value that is NaN is null: the row has none.
    """
    import pyarrow as pa

    def column(name: str) -> pa.Array:
        values, known = np.ascontiguousarray(records[name]), None
        if name not in (RECORD.names or ()) and np.isnan(values).any():
            known = pa.py_buffer(np.packbits(~np.isnan(values), bitorder="little"))
        return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [known, pa.py_buffer(values)])

    texts = [row_id.encode() for row_id in row_ids]
    ends = np.cumsum([0, *map(len, texts)], dtype=np.int64)
    names = pa.LargeStringArray.from_buffers(len(texts), pa.py_buffer(ends), pa.py_buffer(b"".join(texts)))
    # from buffers, since pa.array imports pandas where it is installed, which takes 0.7 s
    ids = names.take(column("row")).cast(pa.string())
    numbers = {"epoch": "epoch", "step": "step", "loss": "loss", "learned_tokens": "learned"}
    numbers |= {name: name for name in records.dtype.names or () if name not in (RECORD.names or ())}
    columns = {"id": ids} | {title: column(name) for title, name in numbers.items()}
    return pa.Table.from_arrays(list(columns.values()), names=list(columns))
