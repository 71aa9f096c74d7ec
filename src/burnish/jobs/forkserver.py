"""Workers that are forked by a process which has imported torch, transformers and PEFT: starting one takes no seconds.

    launcher ── socket: arguments, environment, descriptors ──▶ server (`jobs.forking`) ── fork ──▶ worker
             ◀── {"started": pid, "number": …}, later {"ended": number, "status": …} ──

Only the parent of such a worker differs from that of one with a process of its own. Linux without a GPU only. The
server ends with the launcher; workers that still run then save and exit, as they do when the launcher itself ends.
"""

import atexit
import contextlib
import json
import math
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from burnish.core.processes import module_command

_DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
"""With one of these files, an import may initialise the driver of a GPU, which does not survive a fork."""
IS_SUPPORTED = sys.platform == "linux" and hasattr(os, "pidfd_open") and not any(map(os.path.exists, _DRIVERS))
LIBRARIES = (
    *("torch", "transformers", "peft", "transformers.modeling_utils", "transformers.integrations"),
    *("matplotlib.figure", "matplotlib.backends.backend_agg"),
)
"""Imported by the server, if installed. None of them starts a thread, which a fork would lose."""
LARGEST_MESSAGE = 1 << 20
"""In bytes."""
_OWN_VARIABLES = ("BURNISH_", "PYTEST_", "TORCHINDUCTOR_CACHE_DIR")
"""Variables that no library reads when it is imported: a worker gets the launcher's own. The last is set by torch."""
_KEY = "_API_KEY"
"""The end of the names of others: keys of endpoints."""
_SECONDS = 0.2
_ANSWER_SECONDS = 120.0
"""What a server gets to answer its first request, after it has imported all libraries, and each other one."""
_UNKNOWN = -9
"""The status (SIGKILL) of a worker whose server was killed: memory that runs out is the likely cause."""


class ForkedWorker:
    """A worker of a server, with the methods of `Popen` that a launcher calls."""

    def __init__(self, server: "ForkServer", pid: int, number: int):
        self.pid, self._number, self._server = pid, number, server
        self._handle: int | None = None
        with contextlib.suppress(OSError):  # it has ended already
            self._handle = os.pidfd_open(pid)

    def poll(self) -> int | None:
        """The exit status, negative for a signal; None while the worker runs."""
        status = self._server.status_of(self._number)
        if status is None and self._server.has_ended and not self._is_alive():
            status = _UNKNOWN
        if status is not None:
            self._close()
        return status

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit status. Errors: TimeoutError after `timeout` seconds."""
        end = math.inf if timeout is None else time.monotonic() + timeout
        while (status := self.poll()) is None:
            if time.monotonic() > end:
                raise TimeoutError(f"worker {self.pid} has not ended within {timeout} s")
            self._server.wait_for_message(min(_SECONDS, max(0.0, end - time.monotonic())))
        return status

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def send_signal(self, number: int) -> None:
        if self.poll() is None and self._handle is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, number)

    def _is_alive(self) -> bool:
        return self._handle is not None and not select.select([self._handle], [], [], 0)[0]

    def _close(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


class ForkServer:
    """One server, for all threads. `start` returns None where a process of its own would inherit other values."""

    def __init__(self, environment: Mapping[str, str], libraries: Sequence[str] = LIBRARIES):
        self._inherited = _inherited(environment)
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._starting, self._lock = threading.Lock(), threading.Lock()
        """Held from a request to its answer; and while the messages that have come are read, never while one waits."""
        self._answers: list[dict[str, Any]] = []
        """Of the request that waits."""
        self.is_stuck = False
        """It has not answered a request in time, and gets no more."""
        self._ended: dict[int, int] = {}
        """Status by the number of a worker: a process id is used again."""
        self.has_ended = False
        with theirs:
            self._process = subprocess.Popen(
                module_command("burnish.jobs.forking", str(os.getpid()), str(theirs.fileno()), *libraries),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=dict(environment),
                start_new_session=True,
                pass_fds=(theirs.fileno(),),
            )

    def start(
        self, arguments: Sequence[str], environment: Mapping[str, str], log: int, report: int
    ) -> ForkedWorker | None:
        """Fork a worker whose output goes to the descriptor `log`; `report` is added to its arguments.

        None if the server has ended or does not answer, or if a process of its own would differ: start one.
        """
        if self.has_ended or self.is_stuck or _inherited(environment) != self._inherited:
            return None
        request = {"arguments": list(arguments), "environment": dict(environment), "folder": os.getcwd()}
        with self._starting:
            self._answers.clear()
            try:
                socket.send_fds(self._socket, [json.dumps(request).encode()], [log, report])
            except OSError:  # the server has ended, or the environment is longer than a message
                return None
            end = time.monotonic() + _ANSWER_SECONDS
            while not (self.has_ended or self.is_stuck):
                self._read()
                if self._answers:
                    answer = self._answers.pop()
                    return ForkedWorker(self, answer["started"], answer["number"]) if "started" in answer else None
                self.wait_for_message(_SECONDS / 4)  # another thread may read the answer meanwhile
                self.is_stuck = time.monotonic() > end
        return None

    def status_of(self, number: int) -> int | None:
        """The exit status of a worker; None while it runs."""
        self._read()
        return self._ended.get(number)

    def wait_for_message(self, seconds: float) -> None:
        """Wait until a worker ends, at most so long."""
        select.select([] if self.has_ended else [self._socket], [], [], seconds)

    def close(self) -> None:
        """End the server. Workers that still run save and exit."""
        self.has_ended = True
        self._process.kill()
        self._process.wait()
        self._socket.close()

    def _read(self) -> None:
        with self._lock:
            while not self.has_ended and select.select([self._socket], [], [], 0)[0]:
                self._receive()

    def _receive(self) -> None:
        try:
            text = self._socket.recv(LARGEST_MESSAGE)
        except OSError:
            text = b""
        if not text:
            self.has_ended = True
            return
        message: dict[str, Any] = json.loads(text)
        if "ended" in message:
            self._ended[message["ended"]] = message["status"]
        else:
            self._answers.append(message)


_shared: ForkServer | None = None
_starts = 0
_lock = threading.Lock()


def shared_server(environment: Mapping[str, str], planned: int = 1) -> ForkServer | None:
    """The server of this process, for a step that needs torch; `planned` counts such steps that are to run.

    None where it is not supported, and for the only step so far: a process of its own is as fast.
    """
    global _shared, _starts
    with _lock:
        _starts += 1
        if _shared is not None and (_shared.has_ended or _shared.is_stuck):
            _shared = None
        if _shared is None and IS_SUPPORTED and max(planned, _starts) > 1:
            _shared = ForkServer(environment)
            atexit.register(_shared.close)
        return _shared


def _inherited(environment: Mapping[str, str]) -> dict[str, Any]:
    """What a process inherits and libraries read when they are imported."""
    import resource  # not on Windows

    limits = [resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name.startswith("RLIMIT_")]
    variables = {
        name: value
        for name, value in environment.items()
        if not name.startswith(_OWN_VARIABLES) and not name.endswith(_KEY)
    }
    return {"variables": variables, "limits": limits, "cores": os.sched_getaffinity(0), "user": os.geteuid()}
