"""Open the index of a workspace, if it has a database."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

from burnish.core.runs.workspace import Workspace

if TYPE_CHECKING:
    from burnish.jobs.index.index import Index

VARIABLE = "BURNISH_DATABASE"
"""As in `jobs.database.database`, whose import takes 0.2 s: a test compares them."""


def has_database(place: Workspace) -> bool:
    """Whether a database was made or set, and the packages for it are installed."""
    is_there = bool(os.environ.get(VARIABLE)) or place.database.exists()
    return is_there and all(find_spec(name) is not None for name in ("sqlalchemy", "alembic"))


@contextmanager
def opened(place: Workspace, busy_seconds: float) -> "Generator[Index]":
    """The index, with its tables; it waits at most so long for other writers. Errors: those of `Database.of`."""
    from burnish.jobs.database.database import Database
    from burnish.jobs.index.index import Index

    database = Database.of(place, busy_seconds=busy_seconds)
    try:
        yield Index(database)
    finally:
        database.close()
