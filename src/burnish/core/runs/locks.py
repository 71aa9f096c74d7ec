"""Locks of files, on Linux, macOS and Windows: held for a change, shared while many read, and whether one is held."""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from burnish.core.errors import RunError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


_WAIT = 30.0
"""Seconds that a change waits for another one."""


@contextmanager
def held(path: Path, doing: str) -> Generator[None]:
    """Hold a lock, whose file is made, while something is changed; `doing` says what, for the error of those who wait.

    Errors: RunError `run.busy` if another process holds it for long.
    """
    lock = FileLock(path, timeout=_WAIT)
    try:
        lock.acquire()
    except Timeout:
        what = f"another process has been {doing} for more than {_WAIT:.0f} s"
        raise RunError("run.busy", what, f"wait, or end the process that holds {lock.lock_file}") from None
    try:
        yield
    finally:
        lock.release()


def is_locked(path: Path, *, also_shared: bool = False) -> bool:
    """Whether a process holds an exclusive lock of a file, or with `also_shared` any lock; False if there is no file.

    A check asks for a lock that only such a holder prevents. On Windows, which has no shared locks, two checks at the
    same moment may each take the other for a holder.
    """
    try:
        descriptor = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        if sys.platform == "win32":
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
        else:
            fcntl.flock(descriptor, (fcntl.LOCK_EX if also_shared else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return True
    finally:
        os.close(descriptor)
    return False


def share(descriptor: int) -> None:
    """Hold a shared lock of an open file until it is closed. Without effect on Windows."""
    if sys.platform != "win32":
        fcntl.flock(descriptor, fcntl.LOCK_SH)
