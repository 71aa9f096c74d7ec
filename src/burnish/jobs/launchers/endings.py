"""How a worker ended, where it could not record that itself: in the run's record and events."""

import signal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from burnish.core.errors import BurnishError, MachineError, RunError, error_from_dict
from burnish.core.events import Failed
from burnish.core.faults import LESS_MEMORY, out_of_memory_line
from burnish.core.processes import signal_name
from burnish.core.runs.log import RunLog
from burnish.core.runs.records import is_there
from burnish.core.runs.run import Run
from burnish.core.secrets import mask
from burnish.jobs.launchers.protocol import BUSY

_FATAL_SIGNALS = tuple(getattr(signal, name) for name in ("SIGABRT", "SIGSEGV", "SIGBUS") if hasattr(signal, name))
"""Signals by which a program ends itself, when memory ran out among others."""
_SECOND_SIGNAL = (128 + signal.SIGTERM, 128 + signal.SIGINT)


@dataclass(frozen=True)
class Ending:
    """The end of a worker, as its launcher saw it."""

    status: int
    """The exit status, negative for a signal."""
    was_terminated: bool = False
    """Whether a stop was requested."""
    was_killed: bool = False
    """Whether the launcher killed it."""
    was_starved: bool = False
    """Whether the system killed a process of this machine, because memory ran out, while the worker ran."""
    reported: Mapping[str, Any] | None = None
    """The error that the worker could not write into the run folder."""
    log_start: int = 0
    """Where in run.log its own lines begin."""


def record_end(run: Run, ending: Ending | None) -> None:
    """Record why a worker died if it could not; None while it runs. After BUSY another process has the run, and
    one that a newer lease has taken over is left to that.

    Errors: RunError `run.failed` if the run folder was removed; the worker's own error if neither process can record
    it.
    """
    try:
        is_other = ending is None or ending.status == BUSY or run.is_fenced
        if ending is not None and not is_other and run.record["state"] in ("running", "planned"):
            if (run.folder / "artifact.json").is_file():
                run.transition("succeeded")  # killed before it could record success
            else:
                _record_exit(run, ending)
    except (BurnishError, OSError):
        if is_there(run.folder / "run.json"):
            raise
    if not is_there(run.folder / "run.json"):
        what = f"the run folder {run.folder}, or its run.json, was removed while the step ran"
        raise RunError("run.failed", what, "run the same command again: the step starts over")


def _record_exit(run: Run, ending: Ending) -> None:
    run.remove_partial()
    status, log = ending.status, RunLog(run.log)
    tail = mask("\n".join(log.last_lines(50)))
    starved = out_of_memory_line("\n".join(log.last_lines(50, ending.log_start)))
    family = RunError.exit_status
    not_started = ending.was_terminated and status == -signal.SIGTERM  # before it handled signals
    interrupted = ending.was_killed or status in _SECOND_SIGNAL or not_started
    if ending.reported is not None:
        code, what, fix, family = (ending.reported[key] for key in ("code", "what", "fix", "exit_status"))
        interrupted = code == "run.interrupted"
    elif not_started:
        code, what = "run.interrupted", "the worker was stopped before it started"
        fix = "run the same command again"
    elif interrupted:
        code, what = "run.interrupted", "the worker was killed before it saved its state"
        fix = "run the same command again: it resumes from its last checkpoint, if any"
    elif starved is not None and (status > 0 or -status in _FATAL_SIGNALS):
        code, what, family = (
            "machine.no-memory",
            f"the worker ran out of memory: {starved}",
            MachineError.exit_status,
        )
        fix = f"{LESS_MEMORY}; or raise a limit on the memory (ulimit -v, a container's)"
    elif ending.was_starved and status == -signal.SIGKILL:
        code, what = "machine.no-memory", "the system killed the worker, because memory ran out"
        family, fix = MachineError.exit_status, f"{LESS_MEMORY}; or raise the limit on the memory of its group"
    elif status < 0:
        name = signal_name(-status)
        code, what = "run.killed", f"the worker was killed by {name}"
        fix = "run the same command again to resume"
        if -status in _FATAL_SIGNALS:
            fix += f"; if it ends so again, the end of its log says where: `burnish doctor {run.name}`"
        if name == "SIGKILL":
            fix += "; if nobody killed it, it ran out of memory: use a smaller batch"
    else:
        code, what = "run.failed", f"the worker exited with status {status} without an error message"
        fix = f"see the end of its log with `burnish doctor {run.name}`, or all of it in {run.log}"
    error = {"code": code, "what": what, "fix": fix, "exit_status": family, "log": tail}
    try:
        run.transition("interrupted" if interrupted else "failed", reason=what, error=error)
        run.events.append(Failed(code=code, what=what, fix=fix))
    except OSError as failure:
        raise error_from_dict(error) from failure
