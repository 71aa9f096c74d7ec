"""Which process this is, on which start of which machine, so that another process can tell that it has ended."""

import os
import platform
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_PIDS = Path("/proc/self/ns/pid")
_ENDED = "ZX"
"""States of a process that has ended and was not waited for."""


@dataclass(frozen=True)
class ProcessIdentity:
    """A process, among all of all machines. Two with equal identities are the same process."""

    host: str
    boot: str
    """The start of the machine, and the numbering of processes: a container has its own. Empty if unknown."""
    pid: int
    started: str
    """When the process started, as the system counts it. Empty if unknown."""

    def has_ended(self) -> bool:
        """Whether the process is known to have ended: one of another machine, or container, never is."""
        here = numbering()
        if not here or self.boot != here:
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:  # it is another user's
            pass
        started = start_of(self.pid)
        return bool(started and self.started and started != self.started) or _is_zombie(self.pid)

    def signal(self, number: int) -> bool:
        """Signal the process if this surely is it: one of this machine, with this start. Whether it was."""
        here = numbering()
        if not here or not self.started or self.boot != here or start_of(self.pid) != self.started:
            return False
        try:
            os.kill(self.pid, number)
        except OSError:  # it has just ended, or is another user's
            return False
        return True


def this_process() -> ProcessIdentity:
    """The identity of this process."""
    return ProcessIdentity(platform.node() or "unknown", numbering(), os.getpid(), start_of(os.getpid()))


def boot_id() -> str:
    """Which start of the machine this is; empty if the system does not say."""
    with suppress(OSError):
        return _BOOT.read_text(encoding="ascii").strip()
    return _said("sysctl", "-n", "kern.bootsessionuuid") if sys.platform == "darwin" else ""


def numbering() -> str:
    """What a process id is unique in: a start of the machine, and on Linux the namespace of a container."""
    boot = boot_id()
    with suppress(OSError):
        return f"{boot} {os.readlink(_PIDS)}" if boot else ""
    return boot


def start_of(pid: int) -> str:
    """When a process started, as text that another process with this id does not share; empty if unknown."""
    if sys.platform == "darwin":
        return _said("ps", "-o", "lstart=", "-p", str(pid))
    fields = _stat(pid)
    return fields[19] if len(fields) > 19 else ""


def _is_zombie(pid: int) -> bool:
    fields = _stat(pid)
    return len(fields) > 17 and fields[0] in _ENDED and int(fields[17]) <= 1  # the last of its threads


def _stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat after the name, which may contain anything."""
    with suppress(OSError):
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return text.rpartition(")")[2].split()
    return []


def _said(*command: str) -> str:
    with suppress(OSError):
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return ""
