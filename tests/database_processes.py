"""What processes of their own do to a database, for tests that kill and stop them. Started by a server that forks."""

import multiprocessing
import os
import signal
from pathlib import Path

from sqlalchemy import Engine, event

from burnish.jobs.database import schema
from burnish.jobs.database.database import Database
from burnish.jobs.database.engines import parse

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["database_processes", "alembic.command", "alembic.config", "psycopg"])


def started(function, *arguments):
    """A process that calls a function of this file."""
    process = CONTEXT.Process(target=function, args=arguments, daemon=True)
    process.start()
    return process


def open_and_die(url: str, migrations: Path, statements: int) -> None:
    """Open a database, and be killed before its schema is changed by one more than so many statements."""
    schema._FOLDER = migrations
    left = iter(range(statements))

    def count(connection, cursor, statement, *_):
        is_change = not statement.lstrip().upper().startswith(("SELECT", "PRAGMA", "BEGIN", "SET", "SHOW"))
        if is_change and next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", count)
    event.listen(Engine, "commit", lambda connection: count(connection, None, "COMMIT"))
    Database(parse(url)).close()


def open_when_told(url: str, migrations: Path, told, results) -> None:
    """Open a database at the same moment as others; reports its version, or the error."""
    schema._FOLDER = migrations
    told.wait(60)
    try:
        database = Database(parse(url))
        with database.reading() as connection:
            results.put(schema.version_of(connection))
        database.close()
    except Exception as error:
        results.put(repr(error))
