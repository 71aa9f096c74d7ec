"""Runs a command of another environment: its output in a log, line by line to a function, never longer than allowed.

The command and all its processes end with this process, with a request to stop, and when the time is over.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from burnish.core.secrets import program_environment

_GUARD = Path(__file__).with_name("guard.py")
_SECONDS = 0.2
_GRACE_SECONDS = 5.0
"""What a command gets to end after SIGTERM."""
_NOT_PASSED = (
    *("PYTHONPATH", "VIRTUAL_ENV", "PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PIP_REQUIRE_VIRTUALENV"),
    *("PIP_ROOT", "PIP_PYTHON"),
)
"""Variables that change the packages of another Python."""


@dataclass(frozen=True)
class Ended:
    """How a command ended. `status` is its exit status, -9 for SIGKILL; None if its guard was killed too."""

    status: int | None
    cause: Literal["", "stopped", "timeout"]
    seconds: float
    peak_memory_bytes: int

    @property
    def was_killed(self) -> bool:
        """By a signal that was not ours."""
        return not self.cause and (self.status is None or self.status < 0 or self.status == 128 + signal.SIGKILL)


def run_supervised(
    command: Sequence[str],
    log: Path,
    *,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    passed: Sequence[str] = (),
    timeout: float | None = None,
    is_stopping: Callable[[], bool] = lambda: False,
    line: Callable[[str], None] = lambda text: None,
) -> Ended:
    """Run a command in `folder`; its output is appended to `log`, and `line` gets each new line of it.

    Its environment is `other_environment(environment, passed)`.
    """
    log.touch()
    begin, began = log.stat().st_size, time.monotonic()
    guard = subprocess.Popen(
        [sys.executable, "-I", "-S", str(_GUARD), str(log), *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=folder,
        env=other_environment({"PYTHONUNBUFFERED": "1", **(environment or {})}, passed),
        start_new_session=True,
    )
    reader, cause = _Lines(log, begin, line), ""
    try:
        while guard.poll() is None:
            if is_stopping():
                cause = "stopped"
            elif timeout is not None and time.monotonic() - began > timeout:
                cause = "timeout"
            if cause:
                _end(guard)
                break
            reader.read()
            time.sleep(_SECONDS)
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(guard.pid, signal.SIGKILL)  # what the command left behind, or all of it after an error here
        said, _ = guard.communicate()
    reader.read()
    found: dict[str, int] = {}
    with suppress(ValueError):
        found = json.loads(said)
    return Ended(found.get("status"), cause, time.monotonic() - began, found.get("peak_memory_bytes", 0))


def other_environment(more: Mapping[str, str] | None = None, passed: Sequence[str] = ()) -> dict[str, str]:
    """`program_environment` for another Python: without what changes its packages."""
    found = program_environment({}, passed)
    return {**{name: value for name, value in found.items() if name not in _NOT_PASSED}, **(more or {})}


def _end(guard: "subprocess.Popen[bytes]") -> None:
    """Request the group to end; whoever is left after the grace period is killed by the caller."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(guard.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        guard.wait(_GRACE_SECONDS)


class _Lines:
    """The lines that are added to a log; a progress bar rewrites its line, and counts as a line each time."""

    def __init__(self, log: Path, begin: int, line: Callable[[str], None]):
        self._log, self._at, self._line, self._rest = log, begin, line, b""

    def read(self) -> None:
        with self._log.open("rb") as file:
            file.seek(self._at)
            new = file.read()
        self._at += len(new)
        *lines, self._rest = re.split(rb"[\r\n]+", self._rest + new)
        for line in lines:
            if line.strip():
                self._line(line.decode("utf-8", "replace").rstrip())


def tail(log: Path, lines: int = 40) -> list[str]:
    """The last lines of a log, each state of a progress bar but its last left out."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 200_000))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    shown = (line.rstrip("\r").rpartition("\r")[2].rstrip() for line in text.split("\n"))
    return [line for line in shown if line][-lines:]
