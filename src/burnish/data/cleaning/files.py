"""The files of a chunk: its rows, what duplicates are found by, and its bad rows. They appear when all are complete."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import pyarrow as pa

from burnish.data.record import Bad

_ENDINGS = ("rows", "found", "bad")
_PACKED = pa.ipc.IpcWriteOptions(compression="lz4")


class ChunkFiles:
    """`00017.rows` (Arrow, packed), `00017.found` (Arrow, mapped into memory) and `00017.bad` (JSON Lines)."""

    def __init__(self, folder: Path, number: int):
        self.paths = {ending: folder / f"{number:05}.{ending}" for ending in _ENDINGS}

    def writer(self) -> "ChunkWriter":
        """Writes them; another process may do the same."""
        return ChunkWriter(self.paths)

    def rows(self) -> Iterator[pa.RecordBatch]:
        """Batches with `row`, `split`, `reason`."""
        if self.paths["rows"].exists():
            with pa.ipc.open_stream(pa.memory_map(str(self.paths["rows"]))) as batches:
                yield from batches

    def found(self) -> list[pa.RecordBatch]:
        """Batches with `is_kept`, `source`, `characters`, `hash`, `rank`, and the columns of `Signed`, not copied."""
        if not self.paths["found"].exists():
            return []
        with pa.ipc.open_stream(pa.memory_map(str(self.paths["found"]))) as batches:
            return list(batches)

    def bad(self) -> Iterator[Bad]:
        """The bad rows."""
        with self.paths["bad"].open(encoding="utf-8") as file:
            for line in file:
                yield Bad(**json.loads(line))

    def remove_rows(self) -> None:
        """Give the space of the rows back."""
        self.paths["rows"].unlink(missing_ok=True)


class ChunkWriter:
    """Writes to files of its own, which take the names at the end."""

    def __init__(self, paths: dict[str, Path]):
        self._paths = paths
        self._partial = {ending: path.with_name(f"{path.name}.{os.getpid()}") for ending, path in paths.items()}
        self._writers: dict[str, Any] = {}
        self._bad: IO[str] | None = None

    def __enter__(self) -> "ChunkWriter":
        self._bad = self._partial["bad"].open("w", encoding="utf-8")
        return self

    def write(self, rows: pa.RecordBatch, found: pa.RecordBatch) -> None:
        """Add a batch of rows, and what was found of them."""
        for ending, batch in (("rows", rows), ("found", found)):
            if ending not in self._writers:
                options = _PACKED if ending == "rows" else None
                self._writers[ending] = pa.ipc.new_stream(str(self._partial[ending]), batch.schema, options=options)
            self._writers[ending].write_batch(batch)

    def write_bad(self, bad: Bad) -> None:
        assert self._bad is not None
        self._bad.write(json.dumps(bad.as_dict(), ensure_ascii=False) + "\n")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for writer in self._writers.values():
            writer.close()
        if self._bad is not None:
            self._bad.close()
        for ending, partial in self._partial.items():
            if kind is not None:
                partial.unlink(missing_ok=True)
            elif partial.exists():
                partial.replace(self._paths[ending])
