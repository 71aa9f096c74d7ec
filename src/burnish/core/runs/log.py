"""run.log of a step, kept small: what it held before its bound is in run.log.1, and what was there before is dropped.

A position counts all bytes that were ever logged, so that it means the same before and after a rotation.
"""

import contextlib
import os
import re
import stat
import time
from pathlib import Path

from burnish.core.errors import RunError
from burnish.core.files import open_regular

MOST_BYTES = 32 << 20
"""A longer run.log is rotated at the next poll: a worker that prints 100 MB/s has then written less than 64 MB."""
_LAST_BYTES = 16_384
_LINE = re.compile(rb"\n?[^\n]{0,200}; (\d[\d,]*) bytes were logged before this line\n")


class RunLog:
    """run.log and run.log.1 of a run folder. Neither needs to exist."""

    def __init__(self, path: Path):
        self.path, self.previous = path, path.with_name(f"{path.name}.1")

    @property
    def moved(self) -> int:
        """The position of the first byte of run.log, from the line that a rotation wrote there."""
        with contextlib.suppress(OSError, RunError), open_regular(self.path) as file:
            if (line := _LINE.match(file.read(512))) is not None:
                return int(line[1].replace(b",", b""))
        return 0

    @property
    def start(self) -> int:
        """The position of the first byte that was kept: so many were dropped."""
        moved, before = self.moved, _size(self.previous)
        return moved - before if moved >= before else moved  # a longer run.log.1 is from a rotation that was cut off

    @property
    def end(self) -> int:
        """The position after the last byte."""
        return self.moved + _size(self.path)

    def read(self, start: int, end: int) -> bytes:
        """The bytes from one position to another, of those that were kept."""
        moved, kept = self.moved, self.start
        parts = ((self.previous, kept, moved), (self.path, moved, moved + _size(self.path)))
        return b"".join(_read(path, max(start, a) - a, min(end, b) - a) for path, a, b in parts)

    def last_lines(self, count: int, start: int = 0) -> list[str]:
        """The last lines of the worker, of what comes after a position: at most 16 kB of them."""
        end = self.end
        kept = self.read(max(start, end - _LAST_BYTES), end).splitlines(keepends=True)
        own = b"".join(line for line in kept if _LINE.fullmatch(line) is None)  # not the line of a rotation
        return own.decode(errors="replace").splitlines()[-count:]

    def rotate(self) -> bool:
        """If run.log has more than `MOST_BYTES`, move the last of them to run.log.1, in place of what was there.

        The worker goes on writing to the same file, whose descriptor appends. What it writes in the microseconds
        between the last look and the cut is lost uncounted. Without space for run.log.1 all is dropped, and counted.
        """
        if _size(self.path) <= MOST_BYTES:
            return False
        with self.path.open("r+b") as log:
            moved, kept = self.moved, self._copy_end(log.fileno())
            end = moved + os.fstat(log.fileno()).st_size
            where = f"its last {kept:,} bytes are in {self.previous.name}" if kept else "there is no space to keep them"
            what = f"{self.path.name} was full: {where}, {end - kept:,} bytes are dropped"
            now = f"{time.strftime('%Y-%m-%d %H:%M:%S')},000"
            line = f"{now} WARNING burnish: {what}; {end:,} bytes were logged before this line\n".encode()
            if kept and _read(self.previous, kept - 1, kept) != b"\n":  # it was cut within a line
                line = b"\n" + line
            os.pwrite(log.fileno(), line, 0)  # over bytes that were moved: after a kill the line is there too
            os.ftruncate(log.fileno(), len(line))
        return True

    def _copy_end(self, log: int) -> int:
        """Copy the last bytes of an open file to run.log.1, and what is written meanwhile; returns their number."""
        partial = self.previous.with_name(f"{self.previous.name}.partial")
        try:
            with partial.open("wb") as copy:
                position = first = max(0, os.fstat(log).st_size - MOST_BYTES)
                while position - first < 2 * MOST_BYTES and (part := os.pread(log, 1 << 20, position)):
                    copy.write(part)
                    position += len(part)
            os.replace(partial, self.previous)
        except OSError:
            for path in (partial, self.previous):
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
            return 0
        return position - first


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        status = path.stat()
        return status.st_size if stat.S_ISREG(status.st_mode) else 0
    return 0


def _read(path: Path, start: int, end: int) -> bytes:
    if end > start:
        with (
            contextlib.suppress(OSError, RunError),
            open_regular(path) as file,
        ):  # it may be rotated or removed meanwhile
            file.seek(start)
            return file.read(end - start)
    return b""
