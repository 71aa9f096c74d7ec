"""The row ledger: the loss of every training row at every visit, appended during the run.

A record is 20 bytes. Visits are written with each checkpoint, which records the length of the file; a resumed
run truncates it there, so no visit is lost or repeated. At the end it becomes `rows.parquet`.
"""

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from burnish.core.errors import RunError
from burnish.core.files import sync

RECORD = np.dtype([("row", "<i4"), ("epoch", "<i4"), ("step", "<i4"), ("loss", "<f4"), ("learned", "<i4")])


class RowLedger:
    """Appends visits to a binary file; a resumed run keeps its first `offset` bytes."""

    def __init__(self, path: Path, offset: int = 0):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        size = path.stat().st_size if path.exists() else 0
        if size < offset:
            raise RunError(
                "run.broken-checkpoint",
                f"the row ledger {path} has {size} bytes, the checkpoint expects {offset}",
                "restore the file, or start over: run the same command with --set STEP.resume=never, where STEP is "
                "the name of this step (or --resume never for a stage by itself)",
            )
        self._file = path.open("ab", buffering=0)
        self._file.truncate(offset)
        for folder in (path.parent, path.parent.parent):  # the file's name must be as durable as its bytes
            sync(folder)
        self._unwritten: list[bytes] = []

    def append(self, visits: list[NDArray[np.void]]) -> None:
        """Add records of `RECORD`, in the order of the rows in the step."""
        self._unwritten += [records.tobytes() for records in visits]

    def write(self) -> int:
        """Write all added records; returns the offset for a checkpoint, durable after `sync`."""
        rest = memoryview(b"".join(self._unwritten))
        while rest:
            rest = rest[self._file.write(rest) :]
        self._unwritten.clear()
        return self._file.tell()

    def sync(self) -> None:
        """Flush the file to the disk; may be called from another thread."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def record(rows: NDArray[np.int64], epoch: int, step: int, losses: NDArray, learned: NDArray) -> NDArray[np.void]:
    """Records of one micro-batch's rows."""
    records = np.zeros(len(rows), RECORD)
    records["row"], records["epoch"], records["step"] = rows, epoch, step
    records["loss"], records["learned"] = losses, learned
    return records


def publish(path: Path, row_ids: tuple[str, ...], target: Path) -> None:
    """Write the ledger as parquet: id, epoch, step, loss, learned_tokens; one line per visit of a row."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    records = np.fromfile(path, RECORD)
    ids = pa.DictionaryArray.from_arrays(records["row"], pa.array(row_ids, pa.string())).cast(pa.string())
    table = pa.table(
        {
            "id": ids,
            "epoch": records["epoch"],
            "step": records["step"],
            "loss": records["loss"],
            "learned_tokens": records["learned"],
        }
    )
    pq.write_table(table, target)
