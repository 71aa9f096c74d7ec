"""Signed texts on the disk: signatures and keys mapped into memory, shingles read where pairs are verified."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from burnish.data.dedup.minhash import Signed


class ShinglesFile:
    """Shingles in a file of 32-bit numbers; only the slices that are asked for are in memory."""

    def __init__(self, path: Path):
        self._path = path

    def __getitem__(self, part: slice, /) -> NDArray[np.uint32]:
        return np.fromfile(self._path, np.uint32, int(part.stop - part.start), offset=4 * int(part.start))


def shingle_bytes(signed: Signed) -> memoryview:
    """The shingles of texts as a file holds them."""
    values: Any = np.ascontiguousarray(signed.shingles[0 : int(signed.bounds[-1])])
    return memoryview(values).cast("B")


def write_signed(stem: Path, signed: Signed) -> None:
    """Write `<stem>.arrow` and `<stem>.shingles`."""
    stem.with_suffix(".shingles").write_bytes(shingle_bytes(signed))
    batch = signed.to_arrow()
    with pa.OSFile(str(stem.with_suffix(".arrow")), "wb") as file, pa.ipc.new_file(file, batch.schema) as writer:
        writer.write_batch(batch)


def read_signed(stem: Path) -> Signed:
    """What `write_signed` wrote, not copied into memory."""
    with pa.memory_map(str(stem.with_suffix(".arrow"))) as file:
        return Signed.from_arrow(pa.ipc.open_file(file).get_batch(0), ShinglesFile(stem.with_suffix(".shingles")))
