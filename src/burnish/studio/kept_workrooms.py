"""Workrooms that stay: child processes that answer one request after the other, so that a repeated one is quick.

A child reads its requests from its standard input, and ends when that ends: with this process, however that ends. One
that is idle for long is ended; one that breaks, or does not answer in time, is replaced for the next request.
"""

import json
import os
import selectors
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import IO, Any

from burnish.core.errors import MachineError, RunError
from burnish.core.processes import module_command
from burnish.jobs.environment import worker_environment
from burnish.studio.workrooms import SHOWN, broken, error_of

IDLE_SECONDS = 300.0
ANSWER_SECONDS = 600.0
PATIENCE_SECONDS = 30.0
"""That a request waits for a free child."""
_ENDING_SECONDS = 5.0


class KeptWorkroom:
    """At most `most` child processes that run a module of `burnish.stages` (see `burnish.stages.answer.answer_each`).

    Safe to use from several threads: a request waits for a free child.
    """

    def __init__(self, module: str, most: int = 2):
        self._module, self._most = module, most
        self._condition = threading.Condition()
        self._idle: list[_Child] = []
        self._count = 0
        self._ending: threading.Timer | None = None

    def ask(
        self, request: Mapping[str, Any], seconds: float = ANSWER_SECONDS, patience: float = PATIENCE_SECONDS
    ) -> dict[str, Any]:
        """The answer to a request. Raises its error; RunError `run.failed` if the child breaks or takes too long;
        MachineError `machine.busy` if no child is free within `patience` seconds."""
        child = self._take(patience)
        try:
            try:
                answer = child.ask(request, seconds)
            except _GoneError:  # it ended since its last request, such as for memory: a new one is asked once
                child.end()
                child = _Child(self._module)
                answer = child.ask(request, seconds)
        except BaseException:
            child.end()
            self._give_back(None)
            raise
        self._give_back(child)
        if "error" in answer and isinstance(answer["error"], dict):
            raise error_of(self._module, answer["error"])  # pyright: ignore[reportUnknownArgumentType]
        return answer

    def close(self) -> None:
        """End the children that are idle."""
        self._end_idle(0.0)

    def _take(self, patience: float) -> "_Child":
        """The child that was used last, a new one, or the first that becomes free."""
        until = time.monotonic() + patience
        with self._condition:
            while True:
                while self._idle:
                    child = self._idle.pop()
                    if child.is_alive:
                        return child
                    child.end()
                    self._count -= 1
                if self._count < self._most:
                    self._count += 1
                    break
                if not self._condition.wait(max(0.0, until - time.monotonic())) and time.monotonic() >= until:
                    what = f"all {self._most} processes of {self._module} have been at work for {patience:g} s"
                    raise MachineError("machine.busy", what, "try again in a moment")
        try:
            return _Child(self._module)
        except BaseException:
            self._give_back(None)
            raise

    def _give_back(self, child: "_Child | None") -> None:
        with self._condition:
            if child is None:
                self._count -= 1
            else:
                child.used = time.monotonic()
                self._idle.append(child)
                self._end_later()
            self._condition.notify()

    def _end_later(self) -> None:
        """Have the idle children ended when the first of them is due. The caller holds the lock."""
        if self._ending is None and self._idle:
            due = min(child.used for child in self._idle) + IDLE_SECONDS - time.monotonic()
            self._ending = threading.Timer(max(0.0, due), self._end_idle, (IDLE_SECONDS,))
            self._ending.daemon = True
            self._ending.start()

    def _end_idle(self, seconds: float) -> None:
        """End the children that were not used for so long."""
        with self._condition:
            if self._ending is not None:
                self._ending.cancel()
            now, self._ending = time.monotonic(), None
            old = [child for child in self._idle if now - child.used >= seconds]
            self._idle = [child for child in self._idle if child not in old]
            self._count -= len(old)
            self._end_later()
        for child in old:
            child.end()


class _GoneError(RunError):
    """A child that had answered before gave no answer: it may have ended before it read the request."""


class _Child:
    """One process: it answers one request at a time."""

    def __init__(self, module: str):
        self._module = module
        self.used = time.monotonic()
        self._answers = 0
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            module_command(module),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=worker_environment(),
            bufsize=0,
        )
        assert self._process.stdin is not None
        os.set_blocking(self._process.stdin.fileno(), False)  # a child that does not read has its time limit too

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, request: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        try:
            answer = json.loads(self._exchange(json.dumps(request).encode() + b"\n", seconds))
        except ValueError:
            raise self._broken("gave no answer", _GoneError if self._answers else RunError) from None
        self._answers += 1
        return answer

    def _exchange(self, request: bytes, seconds: float) -> bytes:
        """Write a line, and read the one that answers; of a child that ends meanwhile, what it wrote until then."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        to_child, from_child = self._process.stdin.fileno(), self._process.stdout.fileno()
        left, parts, end = memoryview(request), list[bytes](), time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(to_child, selectors.EVENT_WRITE)
            selector.register(from_child, selectors.EVENT_READ)
            while left or not (parts and parts[-1].endswith(b"\n")):
                ready = selector.select(max(0.0, end - time.monotonic()))
                if not ready:
                    raise self._broken(f"did not answer within {seconds:g} s")
                for key, _ in ready:
                    if key.fd == from_child:
                        parts.append(os.read(from_child, 1 << 20))
                    elif not (left := left[self._written(left) :]):
                        selector.unregister(to_child)
                if parts and not parts[-1]:  # it ends
                    with suppress(subprocess.TimeoutExpired):
                        self._process.wait(_ENDING_SECONDS)
                    break
        return b"".join(parts)

    def _written(self, data: memoryview) -> int:
        """How much the child's pipe takes now; all of it for a child that ended, which reading from it shows."""
        assert self._process.stdin is not None
        try:
            return os.write(self._process.stdin.fileno(), data)
        except BlockingIOError:
            return 0
        except BrokenPipeError:
            return len(data)

    def _broken(self, what: str, kind: type[RunError] = RunError) -> RunError:
        status = self._process.poll()
        ended = "" if status is None else f" and ended with status {status}"
        end = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, end - SHOWN))
        return broken(f"{self._module} {what}{ended}", self._errors.read(), kind)

    def end(self) -> None:
        """End it at once: it only reads."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                with suppress(BrokenPipeError):  # of a request that it did not read
                    stream.close()
