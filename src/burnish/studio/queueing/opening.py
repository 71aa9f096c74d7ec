"""The queue of a workspace, opened for one verb, or kept open by a program that calls many."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from burnish.core.runs.workspace import Workspace
from burnish.jobs.database.database import Database
from burnish.jobs.database.faults import BUSY_SECONDS
from burnish.jobs.queue.queue import Queue

_kept: dict[tuple[Path, str | None], Queue] = {}


@contextmanager
def opened(
    workspace: Path | str | None = None, database: str | None = None, *, busy_seconds: float = BUSY_SECONDS
) -> Generator[tuple[Workspace, Queue]]:
    """The workspace and its queue. Errors: those of `Database.of`."""
    place = Workspace.find(workspace)
    if (kept := _kept.get((place.root, database))) is not None:
        yield place, kept
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
    with opened(workspace, database, busy_seconds=busy_seconds) as (place, queue):
        key = (place.root, database)
        before = _kept.get(key)
        _kept[key] = queue
        try:
            yield place, queue
        finally:
            if before is None:
                del _kept[key]
