"""A source in chunks that any process can read by itself: ranges of large files, and small files together."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from burnish.data.files.archive import Member
from burnish.data.files.opening import PACKED, is_plain, unreadable
from burnish.data.readers.columnar import read_parquet, read_row_groups
from burnish.data.readers.json_lines import read_json_lines, read_json_lines_between
from burnish.data.record import Bad, ReadReport, Record
from burnish.data.sources.listing import SourceFile

CHUNK_BYTES, MOST_CHUNKS = 4_000_000, 20_000
"""Chunks are larger where there would be more: each has files in one folder."""
_SCANNED = 1 << 20
"""Bytes read at a time where lines are counted."""


@dataclass(frozen=True)
class Piece:
    """A file, or of a large one what lies between `start` and `stop` (bytes of lines, row groups of Parquet)."""

    file: SourceFile
    start: int = 0
    stop: int = 0
    """0: the file is read whole."""
    before: int = 0
    """Lines or rows of the file that come before."""


@dataclass(frozen=True)
class Chunk:
    """Pieces that are read together. Chunks are the same for the same source, wherever they are read."""

    number: int
    pieces: tuple[Piece, ...]
    size: int

    @property
    def is_plain(self) -> bool:
        """Whether its rows as JSON are about as large as they are in the source."""
        paths = [piece.file.path for piece in self.pieces if piece.file.read is read_json_lines]
        are_plain = (isinstance(path, Path) and path.suffix.lower() not in PACKED for path in paths)
        return len(paths) == len(self.pieces) and all(are_plain)

    def read(self, reading: ReadReport) -> Iterator[Record | Bad]:
        """Every row of its pieces, each once, with the split that the source names."""
        for piece in self.pieces:
            file = piece.file
            for item in read_piece(piece, reading):
                if isinstance(item, Record) and (file.named or file.split or file.adapt):
                    raw = file.adapt(item.raw) if file.adapt else item.raw
                    item = replace(item, raw=raw, split=file.named or item.split or file.split)
                yield item


def chunks(files: Iterable[SourceFile], reading: ReadReport, size: int | None = None) -> Iterator[Chunk]:
    """The chunks of some files, of about `size` bytes each as they lie on the disk."""
    files = list(files)
    size = size or max(CHUNK_BYTES, sum(file.size for file in files) // MOST_CHUNKS)
    number = 0
    held: list[Piece] = []
    held_bytes = 0
    for file in files:
        for piece, length in pieces_of(file, reading, size):
            if held and held_bytes + length > size:
                yield Chunk(number, tuple(held), held_bytes)
                number, held, held_bytes = number + 1, [], 0
            held.append(piece)
            held_bytes += length
    if held:
        yield Chunk(number, tuple(held), held_bytes)


def pieces_of(
    file: SourceFile, reading: ReadReport, size: int, start: int = 0, before: int = 0
) -> Iterator[tuple[Piece, int]]:
    """The pieces of a file, of about `size` bytes each where it can be read from the middle, with their bytes on the
    disk; those from the `start` of an earlier one on, which has so many lines or rows `before` it."""
    path = file.path
    if file.size > size and not isinstance(path, Member):
        if file.read is read_json_lines and is_plain(path, reading):
            yield from _ranges_of_lines(file, path, size, start, before)
            return
        if file.read is read_parquet:
            yield from _row_groups(file, path, size, start, before)
            return
    yield Piece(file), file.size


def _ranges_of_lines(file: SourceFile, path: Path, size: int, start: int, before: int) -> Iterator[tuple[Piece, int]]:
    """Ranges that end after a line feed. A line that is longer makes its range longer."""
    at, lines = start, 0
    with path.open("rb") as stream:
        stream.seek(start)
        while data := stream.read(min(size, _SCANNED)):
            if at + len(data) - start >= size and (end := data.rfind(b"\n")) >= 0:
                lines += data.count(b"\n", 0, end + 1)
                stop = at + end + 1
                yield Piece(file, start, stop, before), stop - start
                start, before, lines = stop, before + lines, data.count(b"\n", end + 1)
            else:
                lines += data.count(b"\n")
            at += len(data)
    if at > start:
        yield Piece(file, start, at, before), at - start


def _row_groups(file: SourceFile, path: Path, size: int, start: int, before: int) -> Iterator[tuple[Piece, int]]:
    try:
        with pq.ParquetFile(path) as parquet:
            metadata = parquet.metadata
    except (pa.ArrowException, OSError) as error:
        raise unreadable(file.name, error) from error
    length = rows = 0
    for group in range(start, metadata.num_row_groups):
        described = metadata.row_group(group)
        length += sum(described.column(i).total_compressed_size for i in range(described.num_columns))
        rows += described.num_rows
        if length >= size or group == metadata.num_row_groups - 1:
            yield Piece(file, start, group + 1, before), length
            start, before, length = group + 1, before + rows, 0
            rows = 0


def read_piece(piece: Piece, reading: ReadReport) -> Iterator[Record | Bad]:
    """Every row of a piece, once, as its file has it."""
    file = piece.file
    if not piece.stop:
        yield from file.read(file.path, file.name, reading)
    elif isinstance(file.path, Member):
        raise AssertionError("the file of an archive is read whole")
    elif file.read is read_parquet:
        groups = range(piece.start, piece.stop)
        yield from read_row_groups(file.path, file.name, reading, groups, piece.before)
    else:
        yield from read_json_lines_between(file.path, file.name, reading, piece.start, piece.stop, piece.before)
