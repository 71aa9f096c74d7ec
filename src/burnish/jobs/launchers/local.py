"""Start, poll and stop workers on this machine."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from typing import Any

from burnish.core.errors import BurnishError, MachineError, RunError, error_from_dict
from burnish.core.events import Failed
from burnish.core.faults import LESS_MEMORY, out_of_memory_line
from burnish.core.processes import module_command
from burnish.core.runs.log import RunLog
from burnish.core.runs.records import is_there
from burnish.core.runs.run import Run
from burnish.core.secrets import mask
from burnish.jobs.environment import worker_environment
from burnish.jobs.forkserver import ForkedWorker, ForkServer
from burnish.jobs.launchers.protocol import BUSY

_FATAL_SIGNALS = tuple(getattr(signal, name) for name in ("SIGABRT", "SIGSEGV", "SIGBUS") if hasattr(signal, name))
"""Signals by which a program ends itself, when memory ran out among others."""
_SECOND_SIGNAL = (128 + signal.SIGTERM, 128 + signal.SIGINT)
Process = subprocess.Popen[bytes] | ForkedWorker


class LocalLauncher:
    """Runs one worker process per run, each in its own session, so that Ctrl-C does not reach it."""

    def __init__(self, server: ForkServer | None = None) -> None:
        """Workers are forked by `server` where that is possible."""
        self._server = server
        self._terminated: set[int] = set()
        self._killed: set[int] = set()
        self._reports: dict[int, int] = {}
        """The descriptor of a pipe for the error of each worker that cannot write its run folder, by process id."""
        self._reported: dict[int, dict[str, Any]] = {}
        self._logged_before: dict[int, int] = {}
        """Position in run.log when each worker started."""

    def start(self, run: Run) -> Process:
        """Start the worker of a run; its output goes to run.log."""
        if sys.platform == "win32":
            fix = "run this command in WSL, or start containers: burnish up --help"
            raise MachineError("machine.no-worker", "stages run on Linux and macOS, and this is Windows", fix)
        reports, report = os.pipe()
        try:
            with run.log.open("ab") as log:
                before = RunLog(run.log).end
                process = self._forked(run, log.fileno(), report) or subprocess.Popen(
                    module_command("burnish.jobs", str(run.folder), str(os.getpid()), str(report)),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=worker_environment(),
                    start_new_session=True,
                    pass_fds=(report,),
                )
        except BaseException:
            os.close(reports)
            raise
        finally:
            os.close(report)
        os.set_blocking(reports, False)
        self._reports[process.pid] = reports
        self._logged_before[process.pid] = before
        return process

    def _forked(self, run: Run, log: int, report: int) -> ForkedWorker | None:
        if self._server is None:
            return None
        return self._server.start([str(run.folder)], worker_environment(), log, report)

    def poll(self, process: Process, run: Run) -> int | None:
        """The exit status, or None while the worker runs. Records why a worker died if it could not.

        A run.log that grew long is rotated. After BUSY the state of the run is left alone: another process has it.
        Raises RunError `run.failed` if the run folder was removed, and the worker's own error if neither process can
        record it.
        """
        status = process.poll()
        with contextlib.suppress(OSError):  # the worker goes on without a rotation
            RunLog(run.log).rotate()
        if status is not None:
            self._take_report(process)
        try:
            self._record_end(process, run, status)
        except (BurnishError, OSError):
            if is_there(run.folder / "run.json"):
                raise
        if not is_there(run.folder / "run.json"):
            what = f"the run folder {run.folder}, or its run.json, was removed while the step ran"
            raise RunError("run.failed", what, "run the same command again: the step starts over")
        return status

    def _record_end(self, process: Process, run: Run, status: int | None) -> None:
        """Record why a worker died if it could not."""
        if status is not None and status != BUSY and run.record["state"] in ("running", "planned"):
            if (run.folder / "artifact.json").is_file():
                run.transition("succeeded")  # killed before it could record success
            else:
                self._record_exit(process, run, status)

    def stop(self, process: Process, *, at_once: bool = False) -> None:
        """Tell the worker to save its state and exit, or kill it."""
        (self._killed if at_once else self._terminated).add(process.pid)
        process.send_signal(signal.SIGKILL if at_once else signal.SIGTERM)

    def wait(self, process: Process) -> None:
        process.wait()

    def _record_exit(self, process: Process, run: Run, status: int) -> None:
        shutil.rmtree(run.partial, ignore_errors=True)
        log = RunLog(run.log)
        tail = mask("\n".join(log.last_lines(50)))
        starved = out_of_memory_line("\n".join(log.last_lines(50, self._logged_before.get(process.pid, 0))))
        family = RunError.exit_status
        not_started = process.pid in self._terminated and status == -signal.SIGTERM  # before it handled signals
        interrupted = process.pid in self._killed or status in _SECOND_SIGNAL or not_started
        reported = self._reported.get(process.pid)
        if reported is not None:
            code, what, fix, family = (reported[key] for key in ("code", "what", "fix", "exit_status"))
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
        elif status < 0:
            name = _signal_name(-status)
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

    def _take_report(self, process: Process) -> None:
        """Read what an ended worker reported instead of recording it; nothing is waited for."""
        reports = self._reports.pop(process.pid, None)
        if reports is None:
            return
        with os.fdopen(reports, "rb", buffering=0) as pipe:
            text = pipe.read() or b""  # None while a child of the worker holds the pipe open
        if text:
            self._reported[process.pid] = json.loads(text)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"
