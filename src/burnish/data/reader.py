"""The line-accounting reader: every row of a file or folder, each of them exactly once, as a record or as a bad row."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from burnish.data.record import Bad, ReadReport, Record
from burnish.data.sources.listing import SourceFile, find_files


def read(path: Path, reading: ReadReport, subset: str | None = None) -> Iterator[Record | Bad]:
    """Stream the rows of a file, a folder, a hub dataset's folder or a Git repository.

    Memory does not grow with the input. Nothing is dropped: what cannot be read comes as `Bad`, blank lines are
    counted in `reading`. DataError `data.unreadable` when a file as a whole cannot be read.
    """
    files = find_files(path, reading, subset)
    reading.files += len(files)
    reading.total_bytes += sum(file.size for file in files)
    for file in files:
        yield from read_file(file, reading)


def read_file(file: SourceFile, reading: ReadReport) -> Iterator[Record | Bad]:
    """Stream the rows of one file."""
    for item in file.read(file.path, file.name, reading):
        if isinstance(item, Record) and (file.split or file.adapt):
            item = replace(item, raw=file.adapt(item.raw) if file.adapt else item.raw, split=item.split or file.split)
        yield item
    reading.finished(file.size)
