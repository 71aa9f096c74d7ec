"""Errors of a database, named: it is busy, it cannot be reached, its file is damaged, the disk is full."""

import contextlib
import shutil
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from burnish.core.errors import BurnishError, MachineError
from burnish.core.faults import reason

BUSY_SECONDS = 30.0
"""How long a change waits for others before `machine.database-busy`."""
NOT_WRITABLE = "check the folder's permissions and its file system, or set BURNISH_DATABASE to another place"
MAKE_ANEW = (
    "run `burnish runs reindex`, which makes it anew from the run folders: runs and their results are there; lost are "
    "the list of ended jobs and the order of those that wait"
)
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_NOT_WRITABLE = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR}
_NOT_EXTENDED = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}
"""What SQLite also says where the disk is full."""
_LEAST_FREE = 1 << 16
"""Bytes. The files beside a database grow by as much as 32 KiB."""
_BROKEN = ("unsupported file format", "no such table")
_BUSY_STATES = ("55P03", "57014", "40P01", "40001", "25P03", "53300", "53200")
"""SQLSTATE of PostgreSQL: a lock or a place was not had in time, or this transaction was ended for another one."""
_FULL, _TAKEN = "53100", "42P07"
_UNUSABLE = ("08", "28", "3D", "57", "58", "25006", "42501")
"""A connection that is lost or refused, a database that is missing, shut down, or may not be written."""


class ReplacedDatabaseError(MachineError):
    """The file of a database was removed, or another one is in its place."""


@contextmanager
def named(place: str) -> Generator[None]:
    """Raise errors of the database at `place` as MachineError, with the fix."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise error_of(error, place) from error


def error_of(error: Exception, place: str) -> BurnishError:
    """The error for a user. One that is a fault of ours, such as a wrong statement, is given as it is."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(error, PoolTimeout):
        return busy(place)
    if isinstance(cause, sqlite3.Error):
        return _of_sqlite(cause, place)
    if isinstance(error, DBAPIError):
        return _of_postgresql(error, place)
    raise error


def _of_sqlite(error: sqlite3.Error, place: str) -> BurnishError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without the extended code
    if code in _BUSY:
        return busy(place)
    if code in _DAMAGED or reason(error).startswith(_BROKEN):
        return damaged(place, reason(error))
    if code == sqlite3.SQLITE_FULL:
        return _full(place)
    if code in _NOT_EXTENDED and _is_full(place):  # also of a file beside it
        return _full(place)
    if code in _NOT_WRITABLE:
        what = f"the database {place} cannot be opened or written: {reason(error)}"
        return MachineError("machine.no-database", what, NOT_WRITABLE)
    raise error


def _full(place: str) -> MachineError:
    return MachineError("machine.no-disk", f"the disk is full: {place}", "free some space, and try again")


def _is_full(place: str) -> bool:
    with contextlib.suppress(OSError):
        return shutil.disk_usage(Path(place).parent).free < _LEAST_FREE
    return False


def _of_postgresql(error: DBAPIError, place: str) -> BurnishError:
    state = getattr(error.orig, "sqlstate", None)
    if state in _BUSY_STATES:
        return busy(place)
    if state == _FULL:
        return MachineError("machine.no-disk", f"the disk of the database {place} is full", "free some space there")
    if state == _TAKEN:
        what = f"the database {place} has tables of another program: {reason(error.orig or error)}"
        return MachineError("machine.no-database", what, "give burnish a database of its own")
    if state is None or state.startswith(_UNUSABLE):
        what = f"the database {place} cannot be used: {reason(error.orig or error)}"
        fix = "check that the server runs, its address, user and password (BURNISH_DATABASE), and try again"
        return MachineError("machine.no-database", what, fix)
    raise error


def damaged(place: str, why: str) -> MachineError:
    """A file that is no database, or no whole one. It is an index: nothing is lost that the folders hold."""
    fix = f"stop burnish, move {place} away with {place}-wal and {place}-shm, and {MAKE_ANEW}"
    return MachineError("machine.no-database", f"the database {place} is damaged: {why}", fix)


def busy(place: str) -> MachineError:
    """Others hold what this one waits for."""
    what = f"the database {place} was locked by others for too long"
    return MachineError("machine.database-busy", what, "try again in a moment; if it lasts, see which program holds it")
