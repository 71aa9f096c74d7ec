"""The schema of a database: which version it has, and its upgrade, in one transaction, after a backup."""

import os
import sqlite3
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from burnish.core.errors import MachineError
from burnish.core.files import sync
from burnish.jobs.database.faults import BUSY_SECONDS

VERSION_TABLE = "burnish_schema"
"""Holds the version. Not Alembic's usual name: other programs that use it may share the database."""
_FOLDER = Path(__file__).with_name("migrations")


def known_versions() -> list[str]:
    """The versions of the schema, oldest first: `0001_jobs.py` in the folder of migrations is version 0001."""
    return sorted(path.name.partition("_")[0] for path in (_FOLDER / "versions").glob("[0-9]*_*.py"))


def version_of(connection: Connection) -> str | None:
    """The version of a database; None for an empty one."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))


def is_current(version: str | None, place: str) -> bool:
    """Whether a database needs no upgrade. MachineError `machine.no-database` if it is newer than this program."""
    known = known_versions()
    if version is not None and version not in known:
        what = f"the database {place} has schema {version}, and this burnish knows {known[0]} to {known[-1]}"
        raise MachineError("machine.no-database", what, "it was made by a newer burnish: upgrade this one")
    return version == known[-1]


def upgrade(connection: Connection) -> None:
    """Migrate to the newest version, in the transaction of the connection."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def create(path: Path) -> None:
    """Make an SQLite file that is read while another process writes (WAL). One that is seen is whole."""
    path = path.resolve()
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    use_log(partial)
    for log in ("-wal", "-shm"):  # of a file that was removed: SQLite would take them for those of the new one
        path.with_name(path.name + log).unlink(missing_ok=True)
    _put(partial, path)


def use_log(path: Path) -> None:
    """Let a file be read while another process writes."""
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
    finally:
        connection.close()


def back_up(path: Path, version: str) -> Path:
    """Copy an SQLite file, with what is in its log, to `<path>.<version>.backup`; one that is seen is whole."""
    backup = path.with_name(f"{path.name}.{version}.backup")
    partial = path.with_name(f".{backup.name}.partial")
    partial.unlink(missing_ok=True)
    source, copy = sqlite3.connect(path, timeout=BUSY_SECONDS), sqlite3.connect(partial)
    try:
        source.backup(copy)
    finally:
        source.close()
        copy.close()
    _put(partial, backup)
    return backup


def _put(partial: Path, path: Path) -> None:
    sync(partial)
    os.replace(partial, path)
    sync(path.parent)
