"""Open the database of a workspace, and read or write it in transactions."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, insert, select, text

from burnish.core.errors import MachineError, RunError
from burnish.core.runs.locks import held
from burnish.core.runs.workspace import Workspace
from burnish.jobs.database import engines, schema
from burnish.jobs.database.faults import BUSY_SECONDS, NOT_WRITABLE, busy, named
from burnish.jobs.database.tables import origin

VARIABLE = "BURNISH_DATABASE"
"""The environment variable with the address of a database."""
_MIGRATING = 0x6275726E
"""The number of the lock, of PostgreSQL, that is held while the schema is upgraded."""


class Database:
    """A database whose schema is the newest. Threads may share it; a process that was forked opens its own."""

    def __init__(self, url: URL, *, busy_seconds: float = BUSY_SECONDS):
        """Open a database, and upgrade its schema. See `Database.of`."""
        self._url = url
        self._engine: Engine = engines.connect(url, busy_seconds)
        self._file: engines.FileIdentity | None = None
        try:
            with named(self.place):
                if self.path:
                    self._open_file(self.path)
                    self._file = engines.identity_of(self.path)
                    engines.guard(self._engine, self.path, self._file)
                elif not self._is_ready():
                    self._upgrade()
        except BaseException:
            self.close()
            raise

    @classmethod
    def of(cls, workspace: Workspace, url: str | None = None, *, busy_seconds: float = BUSY_SECONDS) -> "Database":
        """The database at `url`, else at `BURNISH_DATABASE`, else of the workspace (`.burnish/burnish.db`).

        An SQLite file that does not exist is made. An older schema is upgraded, in one transaction, by one process;
        an SQLite file is copied before, to `<file>.<version>.backup`. Verbs wait `busy_seconds` where it is locked.

        Errors: MachineError `machine.no-database` if it cannot be opened or reached, is damaged, or was made by a newer
        burnish, or for another workspace; `machine.database-busy` if others keep it locked; AskError `ask.wrong-value`
        for another kind of address.
        """
        given = url or os.environ.get(VARIABLE)
        if not given:
            return cls(engines.of_file(workspace.database), busy_seconds=busy_seconds)
        database = cls(engines.parse(given), busy_seconds=busy_seconds)
        try:
            database._refuse_other(workspace)
        except BaseException:
            database.close()
            raise
        return database

    @property
    def place(self) -> str:
        """The file, or the address without user, password and options."""
        if self.path:
            return str(self.path)
        host = self._url.host or self._url.query.get("host", "")
        return f"postgresql://{host if isinstance(host, str) else ','.join(host)}/{self._url.database or ''}"

    @property
    def path(self) -> Path | None:
        """The file of an SQLite database."""
        is_file = self._url.get_backend_name() == "sqlite"
        return Path(self._url.database) if is_file and self._url.database else None

    @property
    def is_replaced(self) -> bool:
        """Whether another file is in the place of the one that was opened; where none is, it may be moved back."""
        return self.path is not None and engines.identity_of(self.path) not in (None, self._file)

    @contextmanager
    def reading(self) -> Generator[Connection]:
        """A connection in a transaction that sees one state of the database, and does not wait for writers.

        Errors: as those of `Database.of`.
        """
        with named(self.place), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Generator[Connection]:
        """A connection in a transaction that is committed at the end, or rolled back after an error.

        On SQLite it is the only one that writes (`BEGIN IMMEDIATE`), and waits for others at most `BUSY_SECONDS`.

        Errors: as those of `Database.of`, and `machine.no-disk`; nothing is changed then.
        """
        with named(self.place), self._engine.connect() as connection:
            connection = connection.execution_options(**{engines.WRITING: True})
            with connection.begin():
                yield connection

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._engine.dispose()

    def _open_file(self, path: Path) -> None:
        engines.refuse_empty(path)
        if path.exists() and self._is_ready():
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with held(path.with_name(f"{path.name}.lock"), "upgrading the database"):
                schema.use_log(path) if path.exists() else schema.create(path)
                version = self._version()
                if version is not None and not schema.is_current(version, self.place):
                    schema.back_up(path, version)
                self._upgrade()
        except OSError as error:
            what = f"the database {path} cannot be opened or written: {error.strerror}"
            raise MachineError("machine.no-database", what, NOT_WRITABLE) from error
        except RunError as error:  # of the lock
            raise busy(self.place) from error

    def _is_ready(self) -> bool:
        with self._engine.connect() as connection:
            return schema.is_current(schema.version_of(connection), self.place)

    def _version(self) -> str | None:
        with self._engine.connect() as connection:
            return schema.version_of(connection)

    def _upgrade(self) -> None:
        with self.writing() as connection:
            if not self.path:  # of two processes, the second finds the work done
                connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _MIGRATING})
            if not schema.is_current(schema.version_of(connection), self.place):
                schema.upgrade(connection)

    def _refuse_other(self, workspace: Workspace) -> None:
        """Else workers of one workspace would run the jobs of another, without their folders."""
        own = workspace.identity()
        with self.reading() as connection:
            known = connection.execute(select(origin.c.workspace)).scalar()
        if known is None:
            with self.writing() as connection:
                if connection.execute(select(origin.c.workspace)).scalar() is None:
                    connection.execute(insert(origin).values(workspace=own))
            return self._refuse_other(workspace)
        if known != own:
            what = f"the database {self.place} belongs to another workspace than {workspace.root}"
            fix = f"give each workspace a database of its own; if it is this one, write {known} into .burnish/identity"
            raise MachineError("machine.no-database", what, fix)
        return None
