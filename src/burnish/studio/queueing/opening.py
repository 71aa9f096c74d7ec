"""The queue of a workspace, opened for one verb, or kept open by a program that calls many."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from burnish.core.runs.workspace import Workspace
from burnish.jobs.database.database import Database
from burnish.jobs.database.faults import BUSY_SECONDS
from burnish.jobs.queue.queue import Queue


class _Kept:
    """A queue that threads of this process share. Another file in the place of its database is opened."""

    def __init__(self, place: Workspace, database: str | None, busy_seconds: float):
        self._open = lambda: Queue(Database.of(place, database, busy_seconds=busy_seconds))
        self._queue, self._lock = self._open(), threading.Lock()

    def queue(self) -> Queue:
        with self._lock:
            if self._queue.database.is_replaced:
                before, self._queue = self._queue, self._open()
                before.database.close()
            return self._queue

    def close(self) -> None:
        self._queue.database.close()


_kept: dict[tuple[Path, str | None], _Kept] = {}


@contextmanager
def opened(
    workspace: Path | str | None = None, database: str | None = None, *, busy_seconds: float = BUSY_SECONDS
) -> Generator[tuple[Workspace, Queue]]:
    """The workspace and its queue. Errors: those of `Database.of`."""
    place = Workspace.find(workspace)
    if (kept := _kept.get((place.root, database))) is not None:
        yield place, kept.queue()
        return
    found = Database.of(place, database, busy_seconds=busy_seconds)
    try:
        yield place, Queue(found)
    finally:
        found.close()


@contextmanager
def kept_open(
    workspace: Path | str | None = None, database: str | None = None, *, busy_seconds: float = BUSY_SECONDS
) -> Generator[tuple[Workspace, Queue]]:
    """As `opened`, and until the end all verbs of this process use the same connections."""
    place = Workspace.find(workspace)
    key = (place.root, database)
    if (kept := _kept.get(key)) is not None:
        yield place, kept.queue()
        return
    kept = _kept[key] = _Kept(place, database, busy_seconds)
    try:
        yield place, kept.queue()
    finally:
        del _kept[key]
        kept.close()
