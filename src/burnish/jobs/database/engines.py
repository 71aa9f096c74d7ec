"""Connections to SQLite and PostgreSQL: how each is opened, and how a transaction begins."""

import os
import sqlite3
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from burnish.core.errors import AskError, MachineError
from burnish.core.paths import current_folder, expanded
from burnish.jobs.database.faults import BUSY_SECONDS, MAKE_ANEW, ReplacedDatabaseError, damaged

WRITING = "burnish_writing"
"""The execution option of a connection whose next transaction writes."""
_CONNECT_SECONDS = 10

FileIdentity = tuple[int, int]
"""The device and the number of a file: another file at the same path has others."""


def parse(url: str) -> URL:
    """The address of a database, of SQLite with the absolute path of its file; AskError `ask.wrong-value` if it is
    none of SQLite or PostgreSQL."""
    fix = "write sqlite:////folder/burnish.db or postgresql://user:password@host/name"
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise AskError("ask.wrong-value", "BURNISH_DATABASE is not the address of a database", fix) from None
    kind = parsed.drivername.partition("+")[0]
    if kind == "sqlite" and parsed.database and parsed.database != ":memory:":
        path = expanded(parsed.database)
        return parsed.set(drivername="sqlite+pysqlite", database=str(current_folder() / path))
    if kind in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    raise AskError("ask.wrong-value", f"a database of kind '{kind}', or without a name, cannot hold jobs", fix)


def of_file(path: Path) -> URL:
    """The address of an SQLite file."""
    return URL.create("sqlite+pysqlite", database=str(path))


def connect(url: URL, busy_seconds: float = BUSY_SECONDS) -> Engine:
    """An engine. Nothing is opened yet."""
    return _sqlite(url, busy_seconds) if url.get_backend_name() == "sqlite" else _postgresql(url, busy_seconds)


def _sqlite(url: URL, busy_seconds: float) -> Engine:
    engine = create_engine(url, connect_args={"timeout": busy_seconds}, pool_timeout=busy_seconds)

    def on_connect(connection: sqlite3.Connection, record: object) -> None:
        connection.isolation_level = None  # transactions begin below, not where the driver guesses

    def on_begin(connection: Connection) -> None:
        # a transaction that reads first and writes later would fail at once, instead of waiting, if another one wrote
        is_writing = connection.get_execution_options().get(WRITING, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writing else "BEGIN")

    event.listen(engine, "connect", on_connect)
    event.listen(engine, "begin", on_begin)
    return engine


def guard(engine: Engine, path: Path, opened: FileIdentity | None) -> None:
    """From now on, refuse to use another file than the one that was opened at `path`: what is written to one that was
    removed would vanish, and one in its place knows nothing of what this program does."""

    def refuse_another(*_: object) -> None:
        refuse_empty(path)
        found = identity_of(path)
        if found is None:
            what, fix = (
                f"the database {path} was removed while it was in use",
                f"move it back, or {MAKE_ANEW}; then start its workers again",
            )
            raise ReplacedDatabaseError("machine.no-database", what, fix)
        if found != opened:
            what = f"the database {path} was replaced while it was in use"
            raise ReplacedDatabaseError("machine.no-database", what, "start this program again: it opens the new one")

    event.listen(engine, "do_connect", refuse_another)
    event.listen(engine, "checkout", refuse_another)


def identity_of(path: Path) -> FileIdentity | None:
    """Which file is at a path; None for no file."""
    with suppress(OSError):
        status = os.stat(path)
        return status.st_dev, status.st_ino
    return None


def refuse_empty(path: Path) -> None:
    """Errors: MachineError `machine.no-database` for a file that was cut to nothing; one is never made so. SQLite takes
    it for a new database, and waits for those who have it open."""
    with suppress(OSError):
        if not os.stat(path).st_size:
            raise damaged(str(path), "it is empty (0 bytes)")


def _postgresql(url: URL, busy_seconds: float) -> Engine:
    if find_spec("psycopg") is None:
        what = "a database of PostgreSQL needs the package psycopg, which is not installed"
        raise MachineError("machine.no-package", what, "pip install 'burnish[postgres]'")
    engine = create_engine(
        url,
        pool_pre_ping=True,
        pool_timeout=busy_seconds,
        connect_args={
            "connect_timeout": _CONNECT_SECONDS,
            "keepalives_idle": 5,  # a holder has to know in time that it cannot renew its lease
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": 10_000,  # milliseconds
            "prepare_threshold": None,  # statements prepared in one connection are unknown behind a pool of others
        },
    )

    def on_begin(connection: Connection) -> None:
        if not connection.get_execution_options().get(WRITING, False):
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            return
        # a process that is stopped in a transaction must not keep all others waiting
        wait, idle = int(busy_seconds * 1000), int(2 * busy_seconds * 1000)
        connection.exec_driver_sql(
            f"SET LOCAL lock_timeout = {wait}; SET LOCAL idle_in_transaction_session_timeout = {idle}"
        )

    event.listen(engine, "begin", on_begin)
    return engine
