"""Runs a program and measures its whole process tree: wall time, CPU time, peak memory."""

import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

_PAUSE = 0.2


@dataclass
class Usage:
    wall: float
    """Seconds."""
    cpu: float
    """Seconds of user and system time of the program and of every descendant that was waited for."""
    peak: int
    """Bytes: the largest sum of the proportional set sizes (PSS) of all processes alive at once, sampled."""
    status: int

    def as_json(self) -> dict[str, float]:
        return {name: round(value, 2) for name, value in asdict(self).items()}


def measured(command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> Usage:
    """What one command took; its output is in `log`. A failed command has a status other than 0 and says so there."""
    began = time.monotonic()
    peak = 0
    with log.open("wb") as written:
        process = subprocess.Popen(command, stdout=written, stderr=subprocess.STDOUT, env=environment)
        ended = threading.Event()

        def watch() -> None:
            nonlocal peak
            while not ended.wait(_PAUSE):
                peak = max(peak, sum(map(_memory, _tree(process.pid))))

        watcher = threading.Thread(target=watch)
        watcher.start()
        _, status, used = os.wait4(process.pid, 0)
        ended.set()
        watcher.join()
    process.returncode = os.waitstatus_to_exitcode(status)  # Popen would wait for it once more
    peak = max(peak, used.ru_maxrss * 1024)
    return Usage(time.monotonic() - began, used.ru_utime + used.ru_stime, peak, process.returncode)


def _tree(root: int) -> list[int]:
    found, open_ = [], [root]
    while open_:
        pid = open_.pop()
        found.append(pid)
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                open_ += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
        except OSError:  # it has ended
            continue
    return found


def _memory(pid: int) -> int:
    """PSS in bytes, 0 of a process that has ended."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0
