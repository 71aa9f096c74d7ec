"""Runs a program and measures its whole process tree: wall time, CPU time, peak memory.

The program runs below a process that adopts what it leaves behind (`python measure.py COMMAND …`), such as the fork
servers of multiprocessing: their CPU time is else nobody's.
"""

import ctypes
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_PAUSE = 0.2
_PATIENCE = 5.0
"""Seconds for processes that are left behind to end; then they are told to."""
_ADOPT_ORPHANS = 36  # PR_SET_CHILD_SUBREAPER of <linux/prctl.h>


@dataclass(frozen=True)
class Usage:
    wall: float
    """Seconds."""
    cpu: float
    """Seconds, user and system, of the program and of every descendant that was waited for."""
    together: int
    """Bytes: the largest sum of the proportional set sizes (PSS) of all processes alive at once, sampled; `largest` of
    a program that ended before the first sample."""
    largest: int
    """Bytes: the largest resident set of one process."""
    status: int

    def as_json(self) -> dict[str, Any]:
        return {name: round(value, 2) for name, value in asdict(self).items()}


def measured(command: Sequence[str], cwd: Path, log: Path | None = None) -> Usage:
    """What one command took. Its output goes to `log`, or else nowhere; its status may be other than 0."""
    began = time.perf_counter()
    with (log or Path(os.devnull)).open("wb") as output:
        watched = [sys.executable, "-S", __file__, *command]
        process = subprocess.Popen(watched, cwd=cwd, stdout=output, stderr=subprocess.STDOUT if log else None)
        peaks, ended = [0, 0], threading.Event()
        watcher = threading.Thread(target=_watch, args=(process.pid, peaks, ended))
        watcher.start()
        _, status, used = os.wait4(process.pid, 0)  # with all that it adopted and waited for
        ended.set()
        watcher.join()
    process.returncode = os.waitstatus_to_exitcode(status)  # or Popen would wait for it once more
    wall, cpu = time.perf_counter() - began, used.ru_utime + used.ru_stime
    largest = peaks[1] or used.ru_maxrss * 1024  # the kernel's peak is at least that of this process, which forked it
    return Usage(wall, cpu, peaks[0] or largest, largest, process.returncode)


def _watch(root: int, peaks: list[int], ended: threading.Event) -> None:
    while not ended.wait(_PAUSE):
        sizes = [_memory(pid) for pid in _family(root) if pid != root]
        peaks[0] = max(peaks[0], sum(pss for pss, _ in sizes))
        peaks[1] = max([peaks[1], *(rss for _, rss in sizes)])


def _family(root: int) -> list[int]:
    """A process and all below it."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        try:
            fields = Path("/proc", entry, "stat").read_text().rpartition(")")[2].split() if entry.isdigit() else []
        except OSError:  # it ended meanwhile
            continue
        if fields:
            children.setdefault(int(fields[1]), []).append(int(entry))
    family, waiting = [], [root]
    while waiting:
        family.append(waiting.pop())
        waiting += children.get(family[-1], [])
    return family


def _memory(pid: int) -> tuple[int, int]:
    """Bytes of a process: its share of shared pages counted once over all sharers, and what is resident."""
    try:
        text = Path("/proc", str(pid), "smaps_rollup").read_text()
    except OSError:
        return 0, 0
    found = {name: 1024 * int(size) for name, size in re.findall(r"^(Pss|Rss):\s+(\d+) kB", text, re.MULTILINE)}
    return found.get("Pss", 0), found.get("Rss", 0)


def _adopt(command: Sequence[str]) -> int:
    """Run a command and wait for it and for every process below it; its exit status, or 128 and its signal."""
    ctypes.CDLL(None, use_errno=True).prctl(_ADOPT_ORPHANS, 1, 0, 0, 0)
    process = subprocess.Popen(command)
    status = 0
    while True:
        pid, ended = os.wait()
        if pid == process.pid:
            status = os.waitstatus_to_exitcode(ended)
            process.returncode = status
            break
    signal.signal(signal.SIGALRM, _end_orphans)
    signal.setitimer(signal.ITIMER_REAL, _PATIENCE, _PATIENCE)
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return status if status >= 0 else 128 - status


def _end_orphans(*_: object) -> None:
    for pid in _family(os.getpid())[1:]:
        os.kill(pid, signal.SIGTERM)


if __name__ == "__main__":
    raise SystemExit(_adopt(sys.argv[1:]))
