"""Start, poll and stop workers on this machine."""

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
from typing import Any

from burnish.core.errors import MachineError
from burnish.core.memory import kills_for_memory
from burnish.core.processes import module_command
from burnish.core.runs.log import RunLog
from burnish.core.runs.run import Run
from burnish.jobs.environment import worker_environment
from burnish.jobs.forkserver import ForkedWorker, ForkServer
from burnish.jobs.launchers.endings import Ending, record_end

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
        self._killed_before: dict[int, int] = {}
        """The number of processes that the system had killed for memory then."""

    def start(self, run: Run) -> Process:
        """Start the worker of a run; its output goes to run.log."""
        if sys.platform == "win32":
            fix = "run this command in WSL, or start containers: burnish up --help"
            raise MachineError("machine.no-worker", "stages run on Linux and macOS, and this is Windows", fix)
        reports, report = os.pipe()
        try:
            with run.log.open("ab") as log:
                before, killed_before = RunLog(run.log).end, kills_for_memory()
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
        self._killed_before[process.pid] = killed_before
        return process

    def _forked(self, run: Run, log: int, report: int) -> ForkedWorker | None:
        if self._server is None:
            return None
        return self._server.start([str(run.folder)], worker_environment(), log, report)

    def poll(self, process: Process, run: Run) -> int | None:
        """The exit status, or None while the worker runs. Records why a worker died if it could not.

        A run.log that grew long is rotated. Errors: those of `record_end`.
        """
        status = process.poll()
        with contextlib.suppress(OSError):  # the worker goes on without a rotation
            RunLog(run.log).rotate()
        record_end(run, None if status is None else self._ending(process, status))
        return status

    def _ending(self, process: Process, status: int) -> Ending:
        self._take_report(process)
        return Ending(
            status,
            was_terminated=process.pid in self._terminated,
            was_killed=process.pid in self._killed,
            was_starved=kills_for_memory() > self._killed_before.get(process.pid, math.inf),
            reported=self._reported.get(process.pid),
            log_start=self._logged_before.get(process.pid, 0),
        )

    def pause(self, process: Process, seconds: float) -> None:
        """Wait for so many seconds, or less if the worker ends."""
        with contextlib.suppress(TimeoutError, subprocess.TimeoutExpired):
            process.wait(seconds)

    def stop(self, process: Process, *, at_once: bool = False) -> None:
        """Tell the worker to save its state and exit, or kill it."""
        (self._killed if at_once else self._terminated).add(process.pid)
        process.send_signal(signal.SIGKILL if at_once else signal.SIGTERM)

    def wait(self, process: Process) -> None:
        process.wait()

    def _take_report(self, process: Process) -> None:
        """Read what an ended worker reported instead of recording it; nothing is waited for."""
        reports = self._reports.pop(process.pid, None)
        if reports is None:
            return
        with os.fdopen(reports, "rb", buffering=0) as pipe:
            text = pipe.read() or b""  # None while a child of the worker holds the pipe open
        if text:
            self._reported[process.pid] = json.loads(text)
