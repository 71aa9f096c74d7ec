"""A process that has one model loaded (`burnish.stages.ship.playground`), and the adapters beside it."""

import asyncio
import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from burnish.core.context import Input
from burnish.core.errors import BurnishError, RunError, error_from_dict
from burnish.core.processes import module_command
from burnish.core.secrets import mask
from burnish.jobs.environment import worker_environment
from burnish.studio.workrooms import broken, end_of_file

_MODULE = "burnish.stages.ship.playground"
_LONGEST_LINE = 1 << 20
_END_SECONDS = 10.0


class ModelProcess:
    """Messages to and from the process. All methods are called from one event loop."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path, report: Callable[[str], None]):
        self._process, self._log, self._report = process, log, report
        self.ready: dict[str, Any] = {}
        """`address`, `key`, `model`, `engine` and `context`."""
        self._numbers = 0
        self._answers: dict[int, asyncio.Future[None]] = {}
        self._reading: asyncio.Task[None] | None = None
        self._is_released = False

    @classmethod
    async def start(cls, source: Input, folder: Path, cache: Path, report: Callable[[str], None]) -> "ModelProcess":
        """Start it and wait until the model is loaded; `report` gets a sentence for each thing that loading does.

        Errors: those of loading; RunError `run.engine-failed` if it ends without one.
        """
        folder.mkdir(parents=True, exist_ok=True)
        log = folder / "process.log"
        with log.open("wb") as errors:
            process = await asyncio.create_subprocess_exec(
                *module_command(_MODULE, str(os.getpid())),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                env=worker_environment(),
                limit=_LONGEST_LINE,
            )
        made = cls(process, log, report)
        try:
            made._write({"model": source.to_json(), "folder": str(folder), "cache": str(cache)})
            while not made.ready:
                made._take(await made._next())
        except BaseException:
            await made.close()
            raise
        made._reading = asyncio.create_task(made._read())
        return made

    @property
    def is_alive(self) -> bool:
        return self._process.returncode is None and self._reading is not None and not self._reading.done()

    @property
    def process_id(self) -> int:
        return self._process.pid

    async def load(self, name: str, adapter: Input) -> None:
        """Load an adapter beside the model. Errors: those of the adapter."""
        await self._order({"op": "load", "name": name, "adapter": adapter.to_json()})

    async def unload(self, name: str) -> None:
        await self._order({"op": "unload", "name": name})

    async def close(self) -> None:
        """End it, and its engine with it."""
        self._is_released = True
        if self._reading is not None:
            self._reading.cancel()
        if self._answers:
            self._fail(self._ended())
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(_END_SECONDS):
                await self._process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()

    async def _order(self, message: dict[str, Any]) -> None:
        if not self.is_alive:
            raise self._ended()
        self._numbers += 1
        number = self._numbers
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        try:
            self._write({**message, "id": number})
            await answer
        finally:
            del self._answers[number]

    def _write(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(ConnectionError, RuntimeError):  # it has ended, which the reading reports
            self._process.stdin.write(json.dumps(message).encode() + b"\n")

    async def _next(self) -> dict[str, Any]:
        """The next message. RunError `run.engine-failed` at the end."""
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            await self._process.wait()
            raise self._ended()
        return json.loads(line)

    async def _read(self) -> None:
        try:
            while True:
                self._take(await self._next())
        except (BurnishError, ValueError) as error:
            self._fail(error)

    def _take(self, message: dict[str, Any]) -> None:
        if "note" in message:
            self._report(mask(message["note"]))
        elif "ready" in message:
            self.ready = message["ready"]
        elif "id" not in message:
            raise error_from_dict(message["error"])
        elif (answer := self._answers.get(message["id"])) is not None and not answer.done():
            if "error" in message:
                answer.set_exception(error_from_dict(message["error"]))
            else:
                answer.set_result(None)

    def _fail(self, error: Exception) -> None:
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(error)

    def _ended(self) -> RunError:
        if self._is_released:  # no failure, which the log would have
            return RunError("run.interrupted", "the playground released the model", "ask again: it is loaded anew")
        status = self._process.returncode
        how = "was ended" if status is None else f"was ended by signal {-status}" if status < 0 else f"ended ({status})"
        printed = b""
        with contextlib.suppress(OSError):
            printed = end_of_file(self._log)
        return broken(f"the process that had the model loaded {how}", printed, code="run.engine-failed")
