"""How much main memory this process may still take, and how its threads share what they free."""

import ctypes
import sys
from contextlib import suppress
from pathlib import Path

_M_ARENA_MAX, _M_MMAP_THRESHOLD = -8, -3
"""Of `mallopt` in glibc's malloc.h."""
_LARGE = 1 << 20


def available_memory() -> int | None:
    """Bytes that this process may still take; None where the system does not say."""
    meminfo = Path("/proc/meminfo")
    lines = meminfo.read_text(encoding="ascii").splitlines() if meminfo.exists() else []
    found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    return min([*found, *_left_in_cgroups()], default=None)


def kills_for_memory(counters: Path = Path("/proc/vmstat")) -> int:
    """How many processes the system has killed since its start, because memory or a limit of a group ran out; 0 where
    it does not say."""
    with suppress(OSError, ValueError):
        for line in counters.read_text(encoding="ascii").splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0


def share_freed_memory() -> None:
    """Let threads that are started from now on allocate from one heap, and return large blocks when they are freed.

    By default each thread has a heap of its own, and what it frees is not there for the others; a heap keeps freed
    blocks of up to 32 MB. Of glibc only; elsewhere nothing changes.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
            ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE)


def _left_in_cgroups(of_process: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> list[int]:
    """What each memory limit above this process leaves, as containers and schedulers set them (cgroups 1 and 2)."""
    found: list[int] = []
    for line in of_process.read_text(encoding="utf-8").splitlines() if of_process.exists() else []:
        _, controllers, group = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        top = root / "memory" if controllers else root
        names = (
            ("limit_in_bytes", "usage_in_bytes", "total_inactive_file")
            if controllers
            else ("max", "current", "inactive_file")
        )
        folder = top / group.lstrip("/")
        for level in (folder, *folder.parents):
            if level.is_relative_to(top):
                found += _left(level, *names)
    return found


def _left(folder: Path, limit: str, usage: str, cached: str) -> list[int]:
    """The limit of a group less its usage, of which cached files give way; empty where there is no limit."""
    try:
        most = int((folder / f"memory.{limit}").read_text())
        used = int((folder / f"memory.{usage}").read_text())
        stated = dict(line.split(" ", 1) for line in (folder / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # not mounted, or "max"
        return []
    return [max(0, most - used + int(stated.get(cached, 0)))]
