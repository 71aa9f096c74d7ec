"""Follow the events of a run, from any place on: each line once, in order, also over new connections.

A cursor such as `0.812.77-5f2c01` says how far each step's `events.jsonl` was read, in the order of the plan, and which
folders they were: a step that another run has done has its events there.
"""

import contextlib
import hashlib
import os
import re
import stat
from pathlib import Path
from typing import Any, cast

import orjson

from burnish.core.errors import AskError, RunError
from burnish.core.runs.run import Run
from burnish.core.runs.submitted import is_in_progress
from burnish.core.runs.workspace import Workspace

_PIECE = 1 << 18
_LONGEST = 1 << 24
_CURSOR = re.compile(r"((?:\d{1,18}\.)*\d{1,18})-([0-9a-f]{6})")


class Follower:
    """Reads the events of one run as they are written. Errors: AskError `ask.no-such-run`, `ask.wrong-value`."""

    def __init__(self, recipe: str, number: int, cursor: str | None = None, *, workspace: Path | str | None = None):
        self._place = Workspace.find(workspace)
        self._recipe, self._number = self._place.number_of(f"{recipe}/{number}")
        self._plan = self._place.runs / self._recipe / str(self._number) / "plan.json"
        self._stamp: tuple[int, int] | None = None
        self._files: dict[str, Path] = {}
        self._offsets: list[int] = []
        self._torn: dict[Path, int] = {}
        """The size of files that end with a part of a line, which may never be completed."""
        self.skipped = 0
        """Bytes of lines that are no events: what a killed writer left, or longer than any event."""
        self._brief: list[int] = []
        self._phases: dict[int, Any] = {}
        self._held: dict[int, bytes] = {}
        """The last progress of a phase, where no event after it is known yet."""
        self.starts_over = False
        """Whether the events that were read before are not these: the caller forgets them."""
        self._look()
        if cursor is not None:
            self._go_to(cursor)

    @property
    def cursor(self) -> str:
        """Where the next call of `read` begins."""
        return f"{'.'.join(map(str, self._offsets))}-{self._tag}"

    def go_to_end(self) -> None:
        """Skip the events that there are."""
        self._offsets = [_size(path) for path in self._files.values()]

    def be_brief(self, until: str | None = None) -> None:
        """Leave out what a page does not need of the events before a cursor, or before now: metrics, which the curves
        have, and of the progress of a phase all but the first and the last. A cursor of other folders is ignored."""
        self._brief = [_size(path) for path in self._files.values()]
        if until is not None:
            given = self._offsets_of(until)
            self._brief = [min(pair) for pair in zip(self._brief, given, strict=True)] if given else []

    def has_news(self) -> bool:
        """Whether a file has grown, or the plan has changed; cheap."""
        self._look()
        return any(
            _size(path) not in (offset, self._torn.get(path))
            for path, offset in zip(self._files.values(), self._offsets, strict=True)
        )

    def read(self) -> list[tuple[str, bytes, str]]:
        """Some new events: the step, the line as it was written, and the cursor after it; empty if there are none."""
        found: list[tuple[str, bytes, str]] = []
        if any(_size(path) < offset for path, offset in zip(self._files.values(), self._offsets, strict=True)):
            self._start_over()  # a file was written anew
        for place, (step, path) in enumerate(self._files.items()):
            while lines := self._lines(place, path):
                for line in lines:
                    is_brief = self._is_brief(place)
                    self._offsets[place] += len(line)
                    shown = self._of_brief(place, line) if is_brief else self._of_all(line)
                    found += [(step, one.rstrip(), self.cursor) for one in shown]
                if not self._is_brief(place):
                    break
            if held := self._held.pop(place, None):
                found.append((step, held.rstrip(), self.cursor))
        return found

    def _is_brief(self, place: int) -> bool:
        return bool(self._brief) and self._offsets[place] < self._brief[place]

    def _of_all(self, line: bytes) -> list[bytes]:
        if _event_of(line) is not None:
            return [line]
        self.skipped += len(line)
        return []

    def _of_brief(self, place: int, line: bytes) -> list[bytes]:
        """No metric; of the progress of a phase the first, and the last when something else follows."""
        if b'"kind":"metric"' in line:
            return []
        event = _event_of(line) or {}
        if event.get("kind") == "progress" and self._phases.get(place) == event.get("phase"):
            self._held[place] = line
            return []
        if event.get("kind") == "progress":
            self._phases[place] = event.get("phase")
        held = self._held.pop(place, None)
        return [*([] if held is None else [held]), *self._of_all(line)]

    def has_ended(self) -> bool:
        """Whether nothing will be written, unless the run is resumed."""
        if is_in_progress(self._place, self._recipe, self._number):
            return False
        return not any(_is_alive(run) for run in self._place.steps_of(self._recipe, self._number).values())

    def _lines(self, place: int, path: Path) -> list[bytes]:
        """The next whole lines of a file."""
        size, offset = _size(path), self._offsets[place]
        if size <= offset:
            return []
        with path.open("rb") as file:
            file.seek(offset)
            piece = file.read(_PIECE)
            while b"\n" not in piece and len(piece) < _LONGEST and (more := file.read(_PIECE)):
                piece += more
        end = piece.rfind(b"\n") + 1
        if not end and len(piece) >= _LONGEST:
            end = len(piece)
        if not end:
            self._torn[path] = offset + len(piece)
        return piece[:end].splitlines(keepends=True)

    def _look(self) -> None:
        """Read the plan again, if it has changed: a step may be done in the folder of another run."""
        try:
            found = self._plan.stat()
        except OSError:
            found = None
        stamp = None if found is None else (found.st_mtime_ns, found.st_ino)
        if stamp == self._stamp and stamp is not None:
            return
        steps = self._place.steps_of(self._recipe, self._number)  # raises if there is no plan
        files = {step: run.events.path for step, run in steps.items()}
        if self._files and files != self._files:
            self._start_over()
        self._offsets = self._offsets if files.keys() == self._files.keys() else [0] * len(files)
        self._files, self._stamp = files, stamp

    def _start_over(self) -> None:
        self.starts_over = self.starts_over or any(self._offsets)
        self._offsets, self._torn, self._brief, self._held = [0] * len(self._offsets), {}, [], {}

    @property
    def _tag(self) -> str:
        folders = "\n".join(os.path.relpath(path, self._place.runs) for path in self._files.values())
        return hashlib.sha256(folders.encode("utf-8", "surrogateescape")).hexdigest()[:6]

    def _go_to(self, cursor: str) -> None:
        offsets = self._offsets_of(cursor)
        if offsets is None:
            self.starts_over = True
        else:
            self._offsets = offsets

    def _offsets_of(self, cursor: str) -> list[int] | None:
        """None for a cursor of other folders."""
        match = _CURSOR.fullmatch(cursor)
        if match is None:
            raise AskError(
                "ask.wrong-value", "this is no place in the events of a run", "leave it out to read them all"
            )
        offsets = [int(offset) for offset in match[1].split(".")]
        return offsets if match[2] == self._tag and len(offsets) == len(self._files) else None


def _is_alive(run: Run) -> bool:
    """Not where a log of the step is a folder: what is known of the run says so."""
    with contextlib.suppress(RunError):
        return run.is_alive()
    return False


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        status = path.stat()
        return status.st_size if stat.S_ISREG(status.st_mode) else 0
    return 0


def _event_of(line: bytes) -> dict[str, Any] | None:
    try:
        found: Any = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return cast(dict[str, Any], found) if isinstance(found, dict) else None
