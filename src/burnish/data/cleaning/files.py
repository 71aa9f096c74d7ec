"""The files of a chunk: its rows, what duplicates are found by, and its bad rows. They appear when all are complete."""

import json
import mmap
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa

from burnish.data.dedup.minhash import Signed
from burnish.data.dedup.near import SignedTexts
from burnish.data.dedup.stored import OpenFiles, ShinglesFile, shingle_bytes
from burnish.data.record import Bad

_FOUND, _CHUNK = "found.arrow", b"chunk"
_ENDINGS = ("rows", "found", "shingles", "bad")
_PACKED = pa.ipc.IpcWriteOptions(compression="lz4")


class ChunkFiles:
    """`00017.rows` (Arrow), `.found` (Arrow), `.shingles` (32-bit numbers) and `.bad` (JSON Lines)."""

    def __init__(self, folder: Path, number: int):
        self.paths = {ending: folder / f"{number:05}.{ending}" for ending in _ENDINGS}

    def writer(self, *, is_packed: bool) -> "ChunkWriter":
        """Writes them, the rows packed where the source is; another process may do the same.

        Packing takes four times the CPU time of writing, and the rows of a plain source take no more space than that.
        """
        return ChunkWriter(self.paths, _PACKED if is_packed else None)

    def rows(self) -> Iterator[pa.RecordBatch]:
        """Batches with `row`, `split`, `reason`."""
        if self.paths["rows"].exists():
            with pa.ipc.open_stream(pa.memory_map(str(self.paths["rows"]))) as batches:
                yield from batches

    def bad(self) -> Iterator[Bad]:
        """The bad rows."""
        with self.paths["bad"].open(encoding="utf-8") as file:
            for line in file:
                yield Bad(**json.loads(line))

    def remove_rows(self) -> None:
        """Give the space of the rows back."""
        self.paths["rows"].unlink(missing_ok=True)


def gather(folder: Path, chunks: int) -> None:
    """Put what was found in the chunks into one file, in their order: a map for each would need as many open files."""
    partial, writer = folder / f"{_FOUND}.partial", None
    for number in range(chunks):
        path = ChunkFiles(folder, number).paths["found"]
        if not path.exists():
            continue
        with path.open("rb") as file, pa.ipc.open_stream(file) as batches:
            for batch in batches:
                writer = writer or pa.ipc.new_stream(str(partial), batch.schema)
                writer.write_batch(batch, custom_metadata={_CHUNK: str(number).encode()})
        path.unlink()
    if writer is not None:
        writer.close()
        partial.replace(folder / _FOUND)


class Found:
    """What was found of the rows of all chunks, mapped into memory; pages that were read can be released.

    `batches` have `is_kept`, `source`, `characters`, `hash`, `rank`, and the columns of `Signed`.
    """

    def __init__(self, folder: Path):
        """Of the file that `gather` wrote; without one no chunk has rows."""
        self.batches: list[pa.RecordBatch] = []
        self._shingles: list[ShinglesFile] = []
        self._map: mmap.mmap | None = None
        if not (folder / _FOUND).exists():
            return
        with (folder / _FOUND).open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        files: dict[int, ShinglesFile] = {}
        opened = OpenFiles()
        for batch, number in _numbered(self._map):
            self.batches.append(batch)
            if number not in files:
                files[number] = ShinglesFile(ChunkFiles(folder, number).paths["shingles"], opened)
            self._shingles.append(files[number])

    def signed(self) -> SignedTexts:
        """The texts of all rows. Errors: KeyError if they were not signed."""
        parts: list[Signed] = []
        for batch, file in zip(self.batches, self._shingles, strict=True):
            before = int(parts[-1].bounds[-1]) if parts and parts[-1].shingles is file else 0
            parts.append(Signed.from_arrow(batch, file, before))
        return SignedTexts(parts, self.release)

    def release(self) -> None:
        """Give the memory of all pages back; they are read again where they are needed."""
        if self._map is not None and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)


def _numbered(mapped: mmap.mmap) -> Iterator[tuple[pa.RecordBatch, int]]:
    """The batches of the file of `gather`, not copied, each with the number of its chunk."""
    reader = pa.ipc.open_stream(pa.py_buffer(mapped))
    while True:
        try:
            batch, metadata = reader.read_next_batch_with_custom_metadata()
        except StopIteration:
            return
        yield batch, int(metadata[_CHUNK])


class ChunkWriter:
    """Writes to files of its own, which take the names at the end."""

    def __init__(self, paths: dict[str, Path], row_options: pa.ipc.IpcWriteOptions | None):
        name = uuid.uuid4().hex  # another machine may have a process of the same number
        self._paths, self._row_options = paths, row_options
        self._partial = {ending: path.with_name(f"{path.name}.{name}") for ending, path in paths.items()}
        self._writers: dict[str, Any] = {}
        self._written = 0

    def __enter__(self) -> "ChunkWriter":
        self._bad = self._partial["bad"].open("w", encoding="utf-8")
        self._shingles = self._partial["shingles"].open("wb")
        return self

    def write(self, rows: pa.RecordBatch, found: pa.RecordBatch, signed: Signed | None) -> None:
        """Add a batch of rows, what was found of them, and their texts as signed."""
        if signed is not None:
            self._shingles.write(shingle_bytes(signed))
            columns = signed.to_arrow(self._written)
            self._written += int(signed.bounds[-1])
            found = pa.RecordBatch.from_arrays(
                [*found.columns, *columns.columns], names=[*found.schema.names, *columns.schema.names]
            )
        for ending, batch in (("rows", rows), ("found", found)):
            if ending not in self._writers:
                options = self._row_options if ending == "rows" else None
                self._writers[ending] = pa.ipc.new_stream(str(self._partial[ending]), batch.schema, options=options)
            self._writers[ending].write_batch(batch)

    def write_bad(self, bad: Bad) -> None:
        self._bad.write(json.dumps(bad.as_dict(), ensure_ascii=False) + "\n")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for writer in self._writers.values():
            writer.close()
        self._bad.close()
        self._shingles.close()
        for ending, partial in self._partial.items():
            if kind is not None:
                partial.unlink(missing_ok=True)
            elif partial.exists():
                partial.replace(self._paths[ending])
