"""Starts the processes of one step on this machine, and watches them: all end well, or none goes on.

A process that dies ends the step with its own error and log, not with that of a process which waited for it; one that
no longer does anything (SIGSTOP, a dead device) is found by its heart, which beats every second.
"""

import contextlib
import json
import math
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burnish.core.context import Outcome
from burnish.core.errors import BurnishError, MachineError, RunError, error_from_dict
from burnish.core.faults import LESS_MEMORY
from burnish.core.files import read_json
from burnish.core.memory import kills_for_memory
from burnish.core.processes import module_command, signal_name
from burnish.core.runs.log import RunLog
from burnish.core.runs.run import Run
from burnish.jobs.ranks.rank import PARTED, outcome_file

_POLL_SECONDS = 0.2
_SILENT_SECONDS = 20.0
"""A process whose heart has not beaten for so long hangs."""
_START_SECONDS = 120.0
"""What Python may take to start on a busy machine."""
_PARTING_SECONDS = 3.0
"""What the others get to end by themselves, and to say why, after one has failed."""
_CAUSE_SECONDS = 15.0
"""The same, while those that failed only say that another one has gone."""
_LINES = 50


@dataclass
class _Rank:
    """A started process, and what is known of it."""

    number: int
    process: subprocess.Popen[bytes]
    heart: int
    """The descriptor to read its beats from."""
    report: int
    """The descriptor to read its error from."""
    log: Path
    alive_until: float
    """When it counts as hanging, unless its heart beats before."""
    error: dict[str, Any] | None = None

    @property
    def status(self) -> int | None:
        return self.process.returncode

    @property
    def is_parted(self) -> bool:
        """Whether it says that it failed because another process has gone."""
        return self.error is not None and self.error[PARTED]

    @property
    def has_failed(self) -> bool:
        """Whether it ended, neither well nor because it was told to stop."""
        return self.status not in (None, 0) and not (self.error and self.error["code"] == "run.interrupted")


def log_of(run: Run, rank: int) -> Path:
    """The log of a process; that of the first one is the run's."""
    return run.log if rank == 0 else run.folder / f"rank-{rank}.log"


def run_ranks(run: Run, processes: int, is_stopping: Callable[[], bool]) -> Outcome:
    """Run a step in so many processes; what the first one's stage returned.

    Errors: that of the first process which failed; RunError `run.killed`, `run.rank-silent`; MachineError
    `machine.no-memory`.
    """
    shutil.rmtree(run.scratch / "ranks", ignore_errors=True)
    (run.scratch / "ranks").mkdir(parents=True)
    killed_before = kills_for_memory()
    ranks = [_started(run, rank, processes) for rank in range(processes)]
    try:
        silent = _watch(ranks, is_stopping)
        failed = [rank for rank in ranks if rank.has_failed]  # before the others are killed
    finally:
        _end(ranks)
    if silent is not None:
        raise _hangs(silent, processes)
    if failed:
        raise _error_of(_first_cause(failed), processes, kills_for_memory() > killed_before)
    for rank in ranks:
        if rank.error is not None:  # told to stop
            raise error_from_dict(rank.error)
    outcome = read_json(outcome_file(run))
    shutil.rmtree(run.scratch / "ranks", ignore_errors=True)
    return Outcome(**outcome)


def _started(run: Run, number: int, processes: int) -> _Rank:
    hearts, heart = os.pipe()
    reports, report = os.pipe()
    try:
        with log_of(run, number).open("ab") as log:
            process = subprocess.Popen(
                module_command("burnish.jobs.ranks", str(run.folder), str(os.getpid()), str(heart), str(report)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_environment(run, number, processes),
                start_new_session=True,
                pass_fds=(heart, report),
            )
    finally:
        os.close(heart)
        os.close(report)
    for descriptor in (hearts, reports):
        os.set_blocking(descriptor, False)
    return _Rank(number, process, hearts, reports, log_of(run, number), time.monotonic() + _START_SECONDS)


def _environment(run: Run, number: int, processes: int) -> dict[str, str]:
    """What torchrun sets, but for the place to meet: a file, since a port may be taken meanwhile."""
    loopback = "lo" if sys.platform == "linux" else "lo0"
    return {
        "GLOO_SOCKET_IFNAME": loopback,
        **os.environ,
        "RANK": str(number),
        "LOCAL_RANK": str(number),
        "WORLD_SIZE": str(processes),
        "LOCAL_WORLD_SIZE": str(processes),
        "BURNISH_MEETING": str(run.scratch / "ranks" / "meeting"),
    }


def _watch(ranks: Sequence[_Rank], is_stopping: Callable[[], bool]) -> _Rank | None:
    """Wait until all have ended, or one has failed; the one that hangs, if any."""
    is_told, ends_at, looked = False, math.inf, time.monotonic()
    while time.monotonic() < ends_at:
        running = [rank for rank in ranks if rank.status is None]
        if not running:
            return None
        select.select([rank.heart for rank in running], [], [], _POLL_SECONDS)
        now = time.monotonic()
        _take_news(ranks, now, slept=now - looked - _POLL_SECONDS)
        looked = now
        if failed := [rank for rank in ranks if rank.has_failed]:
            is_known = not all(rank.is_parted for rank in failed)
            ends_at = min(ends_at, now + (_PARTING_SECONDS if is_known else _CAUSE_SECONDS))
        elif (silent := next((rank for rank in running if now > rank.alive_until), None)) is not None:
            return silent
        if is_stopping() and not is_told:
            is_told = True
            for rank in running:
                with contextlib.suppress(OSError):
                    rank.process.send_signal(signal.SIGTERM)
        time.sleep(_POLL_SECONDS)
    return None


def _take_news(ranks: Sequence[_Rank], now: float, slept: float) -> None:
    """Read beats and errors, poll, and rotate logs. Where this process itself `slept`, nobody's silence counts."""
    for rank in ranks:
        if slept > 1.0:
            rank.alive_until += slept
        if _read(rank.heart):
            rank.alive_until = now + _SILENT_SECONDS
        if rank.status is None and rank.process.poll() is not None and (text := _read(rank.report)):
            rank.error = json.loads(text)
        with contextlib.suppress(OSError):
            RunLog(rank.log).rotate()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:  # nothing yet
        return b""


def _end(ranks: Sequence[_Rank]) -> None:
    """Kill those that are left: they wait for one that is gone."""
    for rank in ranks:
        if rank.process.poll() is None:
            with contextlib.suppress(OSError):
                rank.process.kill()
    for rank in ranks:
        rank.process.wait()
        for descriptor in (rank.heart, rank.report):
            os.close(descriptor)


def _first_cause(failed: Sequence[_Rank]) -> _Rank:
    """The process that failed by itself: one that was killed, or whose error is not that another one is gone."""
    return min(failed, key=lambda rank: (rank.is_parted, rank.error is not None))


def _error_of(rank: _Rank, processes: int, was_starved: bool) -> BurnishError:
    who = f"process {rank.number + 1} of {processes}"
    _show_log(rank, who)
    if rank.error is not None:
        error = error_from_dict(rank.error)
        return error if rank.number == 0 else type(error)(error.code, f"{who}: {error.what}", error.fix)
    status = rank.status or 0
    if status == -signal.SIGKILL and was_starved:
        return MachineError("machine.no-memory", f"the system killed {who}, because memory ran out", LESS_MEMORY)
    ended = f"was killed by {signal_name(-status)}" if status < 0 else f"exited with status {status} without an error"
    code = "run.killed" if status < 0 else "run.failed"
    return RunError(code, f"{who} {ended}", f"see {rank.log}; run the same command again to resume")


def _hangs(rank: _Rank, processes: int) -> RunError:
    who = f"process {rank.number + 1} of {processes}"
    _show_log(rank, who)
    return RunError(
        "run.rank-silent",
        f"{who} (pid {rank.process.pid}) has done nothing for {_SILENT_SECONDS:.0f} seconds: it was stopped, or hangs",
        f"see the end of {rank.log}, and run the same command again to resume",
    )


def _show_log(rank: _Rank, who: str) -> None:
    """The end of the log of a process that is not the first one, in the log of the run."""
    if rank.number == 0:
        return
    lines = "\n".join(RunLog(rank.log).last_lines(_LINES))
    print(f"the end of the log of {who}, {rank.log}:\n{lines}", file=sys.stderr, flush=True)
