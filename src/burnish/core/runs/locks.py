"""Locks of files, on Linux, macOS and Windows: whether a process holds one, and one that many share while they read."""

import os
import sys
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


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
