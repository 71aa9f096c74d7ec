"""Signed texts on the disk: signatures and keys mapped into memory, shingles read where pairs are verified."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from burnish.data.dedup.minhash import Signed


class OpenFiles:
    """Files that are read often, of which the last ones stay open; their content must not change meanwhile."""

    _MOST = 128

    def __init__(self) -> None:
        self._opened: dict[Path, _Descriptor] = {}

    def read(self, path: Path, size: int, offset: int) -> bytes:
        """So many bytes from an offset on. Errors: OSError, EOFError where the file ends before."""
        opened = self._opened.pop(path, None) or _Descriptor(path)
        if len(self._opened) >= self._MOST:
            del self._opened[next(iter(self._opened))]
        self._opened[path] = opened  # now the last to be closed
        data = os.pread(opened.number, size, offset)
        if len(data) < size:
            raise EOFError(f"{path} ends before byte {offset + size:,}")
        return data

    def __reduce__(self) -> "tuple[type[OpenFiles], tuple[()]]":
        """Pickled without its files: their numbers mean nothing, or other files, in another process."""
        return OpenFiles, ()


class _Descriptor:
    """An open file, closed when nothing refers to it."""

    def __init__(self, path: Path):
        self.number = os.open(path, os.O_RDONLY)

    def __del__(self) -> None:
        if hasattr(self, "number"):
            os.close(self.number)


class ShinglesFile:
    """Shingles in a file of 32-bit numbers; only the slices that are asked for are in memory."""

    def __init__(self, path: Path, files: OpenFiles):
        self._path, self._files = path, files

    def __getitem__(self, part: slice, /) -> NDArray[np.uint32]:
        size = 4 * (int(part.stop) - int(part.start))
        return np.frombuffer(self._files.read(self._path, size, 4 * int(part.start)), np.uint32)


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


def read_signed(stem: Path, files: OpenFiles) -> Signed:
    """What `write_signed` wrote, not copied into memory. `files` is one for all that are read together."""
    shingles = ShinglesFile(stem.with_suffix(".shingles"), files)
    with pa.memory_map(str(stem.with_suffix(".arrow"))) as file:
        return Signed.from_arrow(pa.ipc.open_file(file).get_batch(0), shingles)
