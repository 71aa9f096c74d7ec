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
        with self._condition:
            idle, self._idle = self._idle, []
            self._count -= len(idle)
        for child in idle:
            child.end()

    def _take(self, patience: float) -> "_Child":
        """The child that was used last, a new one, or the first that becomes free."""
        self._end_idle()
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
            self._condition.notify()

    def _end_idle(self) -> None:
        """End the children that were not used for long, except the one used last."""
        with self._condition:
            now = time.monotonic()
            old = [child for child in self._idle[:-1] if now - child.used > IDLE_SECONDS]
            self._idle = [child for child in self._idle if child not in old]
            self._count -= len(old)
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
        )

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, request: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
            line = self._line(seconds)
        except BrokenPipeError:
            line = b""
        try:
            answer = json.loads(line)
        except ValueError:
            raise self._broken("gave no answer", _GoneError if self._answers else RunError) from None
        self._answers += 1
        return answer

    def _line(self, seconds: float) -> bytes:
        """The next line, which may come in parts; what was read until the child closed its output."""
        assert self._process.stdout is not None
        output, parts = self._process.stdout.fileno(), list[bytes]()
        end = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            while not parts or not parts[-1].endswith(b"\n"):
                if not selector.select(max(0.0, end - time.monotonic())):
                    raise self._broken(f"did not answer within {seconds:g} s")
                part = os.read(output, 1 << 20)
                if not part:  # it ends
                    with suppress(subprocess.TimeoutExpired):
                        self._process.wait(_ENDING_SECONDS)
                    break
                parts.append(part)
        return b"".join(parts)

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
