"""Sends points to a tracker in another process; the training never waits for it.

    training   step 7 | point → queue → pipe | step 8 | point → queue → pipe | …
    process           read the pipe, send to the server, reply

The queue is bounded, and so is the time without a reply: then the tracker is given up and its process killed.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from burnish.core.faults import reason
from burnish.core.processes import module_command
from burnish.train.trackers.base import Point, State, TrackedRun

QUEUE = 100_000
"""Points of this attempt that may wait."""
PATIENCE = 120.0
"""Seconds without a reply after which a tracker is given up; the packages' own time limits are shorter."""
END_PATIENCE = 600.0
"""Seconds that a finished run waits for a tracker that does reply."""
STOP_PATIENCE = 20.0
"""The same for a run that was stopped: a scheduler kills it soon."""
EXIT_PATIENCE = 20.0
"""Seconds that a process may take to exit after it closed its run."""
_READ = 1 << 16


class Sender:
    """One tracker of one attempt. `points` are those of earlier attempts, sent first."""

    def __init__(self, name: str, kind: str, run: TrackedRun, points: Sequence[Point], warn: Callable[[str], None]):
        self._name, self._run, self._warn = name, run, warn
        self._queue: deque[bytes] = deque()
        """Requests that the pipe has not taken."""
        self._awaited: deque[int] = deque()
        """Steps of the points without a reply."""
        self._most = len(points) + QUEUE
        self._given = self._lost = 0
        self._is_open = True
        """False once the run is closed there, or the tracker is given up."""
        self._is_starting, self._is_closing = True, False
        self._patience = END_PATIENCE
        self._replied_at = time.monotonic()
        self._unread = b""
        try:
            self._process = _Process()
        except OSError as error:
            self._process = None
            self._give_up(f"did not start, and the run is not tracked there: {reason(error)}")
        facts = {"id": run.id, "name": run.name, "settings": dict(run.settings)}
        self._request(start={"kind": kind, "run": facts | {"folder": str(run.folder), "memory": str(run.memory)}})
        for point in points:
            self._add(point)
        self._pump()

    def send(self, point: Point) -> None:
        """Queue a point, and pass on what the process takes now. Never waits."""
        self._add(point)
        self._pump()

    def close(self, state: State, error: str) -> None:
        """Request that the run be closed after the points in the queue; `wait` waits for it."""
        self._patience = STOP_PATIENCE if state == "stopped" else END_PATIENCE
        self._request(close=[state, error])
        self._is_closing = True
        self._pump()

    def wait(self) -> None:
        """Wait until the run is closed there or the tracker is given up; reports what was not sent."""
        end = time.monotonic() + self._patience
        while self._is_open and self._process is not None:
            left = min(end, self._replied_at + PATIENCE) - time.monotonic()
            writable = [self._process.requests] if self._queue else []
            select.select([self._process.replies], writable, [], max(0.0, left))
            self._pump()
            if time.monotonic() >= end:
                self._give_up(f"was not done {self._patience:g} s after the end of the run")
        lost = self._lost + len(self._awaited)
        if lost:
            self._warn(f"the tracker {self._name} did not receive {lost:,} of {self._given:,} points of this run")
        self._exit()

    def _add(self, point: Point) -> None:
        self._given += 1
        if self._is_open and len(self._awaited) == self._most:
            self._give_up(f"is {self._most:,} points behind and receives nothing more")
        if not self._is_open:
            self._lost += 1
            return
        self._request(point=[point.step, point.at, dict(point.values)])
        self._awaited.append(point.step)

    def _request(self, **message: Any) -> None:
        if not self._is_awaited():
            self._replied_at = time.monotonic()
        if self._is_open:
            self._queue.append(json.dumps(message).encode() + b"\n")

    def _is_awaited(self) -> bool:
        return self._is_starting or self._is_closing or bool(self._awaited)

    def _pump(self) -> None:
        """Handle the replies that are there, and write what the pipe takes."""
        if self._is_open:
            self._read()
        if self._is_open:
            self._write()
        if self._is_open and self._is_awaited() and time.monotonic() - self._replied_at >= PATIENCE:
            self._give_up(f"{self._failing()}: it did not reply for {PATIENCE:g} s")

    def _read(self) -> None:
        assert self._process is not None
        while self._is_open:
            try:
                data = os.read(self._process.replies.fileno(), _READ)
            except BlockingIOError:
                return
            *lines, self._unread = (self._unread + data).split(b"\n")
            for line in lines:
                try:
                    self._handle(json.loads(line))
                except (ValueError, AttributeError, IndexError):  # the tracker wrote into the pipe itself
                    self._give_up(f"{self._failing()}: its reply is not readable: {line[:40]!r}")
            if not data and self._is_open:
                self._give_up(f"{self._failing()}: {self._process.ending()}")

    def _handle(self, reply: dict[str, Any]) -> None:
        self._replied_at = time.monotonic()
        [(verb, value)] = reply.items()
        if verb == "note":
            self._run.report(value)
        elif verb == "started":
            self._is_starting = False
        elif verb == "sent":
            self._awaited.popleft()
        elif verb == "failed":
            self._give_up(f"{self._failing()}: {value}")
        elif verb == "closed":
            self._is_open = False
        else:
            raise ValueError(f"unknown reply: {verb}")

    def _write(self) -> None:
        assert self._process is not None
        while self._queue:
            data = self._queue[0]
            try:
                written = os.write(self._process.requests.fileno(), data)
            except (BlockingIOError, BrokenPipeError):  # a process that is gone is noticed when its replies are read
                return
            if written < len(data):
                self._queue[0] = data[written:]
            else:
                self._queue.popleft()

    def _failing(self) -> str:
        if self._is_starting:
            return "did not start, and the run is not tracked there"
        if self._awaited:
            return f"failed at step {self._awaited[0]} and receives nothing more"
        return "did not close its run" if self._is_closing else "receives nothing more"

    def _give_up(self, what: str) -> None:
        """Report it once and kill the process; points are only counted from now on."""
        if not self._is_open:
            return
        self._is_open = False
        self._queue.clear()
        self._warn(f"the tracker {self._name} {what}")
        if self._process is not None:
            self._process.kill()

    def _exit(self) -> None:
        process, self._process = self._process, None
        if process is not None and not process.end():
            self._warn(f"the tracker {self._name} closed its run, but its process did not exit and is killed")


class _Process:
    """A process for a tracker, with pipes that never block this one; it prints to the log of the run."""

    def __init__(self) -> None:
        command = module_command("burnish.train.trackers.process", str(os.getpid()))
        self._popen = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, process_group=0
        )
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        self.requests, self.replies = self._popen.stdin, self._popen.stdout
        for pipe in (self.requests, self.replies):
            os.set_blocking(pipe.fileno(), False)

    def kill(self) -> None:
        """Kill the process and the children of the tracker, which stay in its group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, signal.SIGKILL)

    def ending(self) -> str:
        """How the process ended, once there are no more replies."""
        try:
            status = self._popen.wait(1)
        except subprocess.TimeoutExpired:
            return "its process closed its output"
        if status < 0:
            return f"its process was killed by {signal.Signals(-status).name}"
        return f"its process exited with {status}"

    def end(self) -> bool:
        """Wait for the end of the process; False if it had to be killed."""
        self.requests.close()
        try:
            self._popen.wait(EXIT_PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            self._popen.wait()
            return False
        finally:
            self.replies.close()
        return True
