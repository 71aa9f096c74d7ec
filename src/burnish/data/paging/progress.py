"""What was read of a source whose index is not whole yet: the next request, also of another process, goes on there."""

import json
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from burnish.core.errors import RunError
from burnish.core.files import write_atomically

_NAME = "progress.json"
_SAVE_SECONDS = 5.0


@dataclass
class Progress:
    """How far a source is read, kept in the folder of its index. `seconds` is the time that this attempt has."""

    folder: Path
    seconds: float | None
    file: int = 0
    """The number of the file, and what of it comes first: bytes or row groups, and lines or rows before that."""
    start: int = 0
    before: int = 0
    known: dict[str, Any] = field(default_factory=dict[str, Any])
    """What was found so far."""
    _began: float = field(default_factory=time.monotonic)
    _saved: float = field(default_factory=time.monotonic)
    _from: tuple[int, int] = (0, 0)

    @classmethod
    def of(cls, folder: Path, seconds: float | None) -> "Progress":
        """That of a folder; from the beginning where nothing is known."""
        progress = cls(folder, seconds)
        with suppress(OSError, ValueError, KeyError, TypeError):
            found = json.loads((folder / _NAME).read_bytes())
            place = (int(found["file"]), int(found["start"]), int(found["before"]))
            progress.known = dict(found["known"])
            progress.file, progress.start, progress.before = place
            progress._from = place[:2]
        return progress

    @property
    def is_due(self) -> bool:
        """Whether it is time to keep what was found."""
        return time.monotonic() - self._saved > _SAVE_SECONDS or self.is_over

    @property
    def is_over(self) -> bool:
        """Whether the time of this attempt is over."""
        return self.seconds is not None and time.monotonic() - self._began > self.seconds

    def save(self, file: int, start: int, before: int, known: dict[str, Any]) -> None:
        """Keep what was found before this place."""
        self.file, self.start, self.before = file, start, before
        record = {"file": file, "start": start, "before": before, "known": known}
        write_atomically(self.folder / _NAME, json.dumps(record))
        self._saved = time.monotonic()

    def refuse_late(self, name: str, done: float) -> None:
        """Refuse to read on when the time is over. RunError `run.time-limit`: of a file that cannot be read from the
        middle, whose rows nobody gets by asking again, it says so."""
        if not self.is_over:
            return
        what = f"{name} is large: in {self.seconds:.0f} s its rows were not all read"
        if (self.file, self.start) == self._from:
            fix = "convert it to JSON Lines or Parquet, of which parts are read; a run takes it as it is"
            raise RunError("run.time-limit", what, fix)
        raise LateError("run.time-limit", f"{what}, {done:.0%} by now", "ask again: it goes on from there")

    def end(self) -> None:
        """Forget it: the index is whole."""
        (self.folder / _NAME).unlink(missing_ok=True)


class LateError(RunError):
    """The time of this attempt is over, and what was read is kept for the next one."""


@contextmanager
def alone(lock: Path, name: str, seconds: float | None) -> Generator[None]:
    """Hold the lock of an index. RunError `run.busy` if another process makes it for longer than `seconds`."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    held = FileLock(lock, timeout=-1 if seconds is None else seconds)
    try:
        held.acquire()
    except Timeout:
        what = f"the rows of {name} are still read for another request"
        raise RunError("run.busy", what, "ask again in some minutes") from None
    try:
        yield
    finally:
        held.release()
