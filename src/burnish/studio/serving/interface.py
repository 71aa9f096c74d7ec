"""Starts the server of the page, and a worker beside it, each in a process of its own; and stops them.

They are in sessions of their own, so that Ctrl-C reaches only the process that started them, and are asked to end by
that one; where it is killed, the system asks them.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from burnish.core.errors import MachineError, RunError, error_from_dict
from burnish.core.processes import module_command, signal_name
from burnish.core.runs.workspace import Workspace
from burnish.jobs.environment import worker_environment
from burnish.studio.workrooms import require

_POLL_SECONDS = 0.2
_SERVER_SECONDS = 10.0
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 60.0
"""Seconds before a worker that ended by itself is started again: doubled each time."""
_SETTLED_SECONDS = 60.0
"""After which a worker is taken to be sound."""


class Interface:
    """A running server, and a worker unless `with_worker` is False. `address` is where the server answers."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 8420,
        allowed_hosts: Iterable[str] = (),
        allowed_paths: Iterable[str] = (),
        trusted_proxies: Iterable[str] = (),
        with_worker: bool = True,
        workspace: Path | str | None = None,
    ):
        """Errors: MachineError `machine.no-package`, `machine.no-disk`; RunError `run.killed`; AskError for an address
        that cannot be bound, or is open to other machines without a token, and for a name that could never match."""
        require("fastapi", "ui")
        require("sqlalchemy", "jobs")
        self._place, self._worker = Workspace.find(workspace).root, None
        options = ["--host", host, "--port", str(port)]
        for name, values in (
            ("--allow-host", allowed_hosts),
            ("--allow-path", allowed_paths),
            ("--trusted-proxy", trusted_proxies),
        ):
            options += [word for value in values for word in (name, str(value))]
        self._server = self._start("burnish.server", options, stdout=subprocess.PIPE)
        self.address = self._started()
        self._wait, self._next, self._since = _FIRST_WAIT, 0.0, time.monotonic()
        if with_worker:
            self._start_worker()
        self._has_worker = with_worker

    def _start(self, module: str, options: list[str], stdout: int) -> "subprocess.Popen[bytes]":
        command = module_command(module, *options, "--workspace", str(self._place), "--parent", str(os.getpid()))
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stdout, env=worker_environment(), start_new_session=True
        )

    def _start_worker(self) -> None:
        self._worker = self._start("burnish.studio.serving.embedded", [], stdout=sys.stderr.fileno())
        self._since = time.monotonic()

    def _started(self) -> str:
        assert self._server.stdout is not None
        line = self._server.stdout.readline()
        try:
            said = json.loads(line)
        except ValueError:
            if (status := self._server.wait()) < 0:
                raise _killed(-status) from None
            what = f"the server ended with status {status} before it answered"
            raise MachineError("machine.no-package", what, "its messages are above; see `burnish doctor`") from None
        if "error" in said:
            self._server.wait()
            raise error_from_dict(said["error"])
        return said["address"]

    def wait(self) -> None:
        """Until the server ends. A worker that ends meanwhile is started again.

        Errors: RunError `run.killed` if somebody, or the system, killed the server; `run.failed` if it failed.
        """
        while (status := self._server.poll()) is None:
            self._keep_worker()
            time.sleep(_POLL_SECONDS)
        if status < 0:
            raise _killed(-status)
        if status:
            what = f"the server ended with status {status}"
            raise RunError("run.failed", what, "its messages are above; start it again: burnish ui")

    def _keep_worker(self) -> None:
        now = time.monotonic()
        if self._worker is not None:
            if self._worker.poll() is None:
                return
            self._wait = _FIRST_WAIT if now - self._since > _SETTLED_SECONDS else min(self._wait * 2, _LONGEST_WAIT)
            self._worker, self._next = None, now + self._wait
        elif self._has_worker and now >= self._next:
            self._start_worker()

    @property
    def is_saving(self) -> bool:
        """Whether the worker still runs: after a request to stop, what it runs saves its state."""
        return self._worker is not None and self._worker.poll() is None

    def request_stop(self, *, at_once: bool = False) -> None:
        """Ask both to end; the worker when what it runs has saved its state, or, with `at_once` after a first request,
        without. The system may ask them too: only Ctrl-C (SIGINT) is taken for a second request."""
        if self._worker is not None and self._worker.poll() is None:
            self._worker.send_signal(signal.SIGINT if at_once else signal.SIGTERM)
        if self._server.poll() is None:
            self._server.terminate()

    def stop(self) -> int:
        """Ask both to end, and wait for them; the server's exit status."""
        self.request_stop()
        return self.join()

    def join(self) -> int:
        """Wait for both after a request to stop; the server's exit status."""
        try:
            self._server.wait(_SERVER_SECONDS)
        except subprocess.TimeoutExpired:
            self._server.kill()
        if self._worker is not None:
            self._worker.wait()
        with contextlib.suppress(OSError):
            if self._server.stdout is not None:
                self._server.stdout.close()
        return self._server.wait()


def _killed(number: int) -> RunError:
    name = signal_name(number)
    fix = "start it again: burnish ui; jobs that were running go on then"
    if name == "SIGKILL":
        fix += "; if nobody killed it, memory ran out: `burnish doctor`"
    return RunError("run.killed", f"the server of the page was killed by {name}", fix)
