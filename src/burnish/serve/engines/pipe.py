"""The server's side of an engine in a process of our own, `serve.engines.child`: requests and tokens over pipes."""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from burnish.core.errors import RunError
from burnish.core.processes import module_command
from burnish.serve.engines.frames import framed, next_frame
from burnish.serve.engines.process import EngineProcess, engine_environment
from burnish.serve.engines.protocol import Asked, End, EngineError, Feature, Token
from burnish.serve.engines.supervision import EngineProbeError, Limits, Supervisor, engine_failed

_LONGEST_STEP = 300.0
"""Seconds of one step of decoding after which the process is taken to hang."""
Item = Token | End | EngineError


class PipeChild:
    """One process, and its answers under way by number."""

    def __init__(self, process: EngineProcess):
        self._process = process
        self.described: Mapping[str, Any] = {}
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._answers: dict[int, asyncio.Queue[Item]] = {}
        self._results: dict[int, asyncio.Future[Any]] = {}
        self._number = 0
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, module: str, settings: Mapping[str, Any], log: Path) -> "PipeChild":
        """Start `python -m MODULE PARENT_PID SETTINGS`."""
        command = module_command(module, str(os.getpid()), json.dumps(settings))
        return cls(await EngineProcess.start(command, log, engine_environment(), speaks=True))

    @property
    def process_id(self) -> int:
        return self._process.process.pid

    async def wait_ready(self) -> None:
        await self._ready

    async def wait_end(self) -> str:
        return await self._process.wait_end()

    async def probe(self) -> None:
        reply = await self._ask({"op": "ping"})
        if reply > _LONGEST_STEP:
            raise EngineProbeError(f"has computed one step for {reply:.0f} s")

    async def end(self, grace: float) -> None:
        self._reading.cancel()
        await self._process.end(grace)
        self._fail_all("the engine's process ended")

    async def complete(self, asked: Asked) -> AsyncIterator[Token | End]:
        number, items = self._next_number(), asyncio.Queue[Item]()
        self._answers[number] = items
        is_over = False
        try:
            await self._send({"op": "complete", "id": number, **_request(asked)})
            while not is_over:
                item = await items.get()
                is_over = not isinstance(item, Token)
                if isinstance(item, EngineError):
                    raise item
                yield item
        finally:
            del self._answers[number]
            if not is_over:
                with contextlib.suppress(EngineError):
                    await self._send({"op": "cancel", "id": number})

    async def command(self, name: str, /, **request: Any) -> Any:
        """The result of another request. Errors: EngineError."""
        return await self._ask({"op": name, **request})

    async def embed(self, prompts: Sequence[Sequence[int]]) -> list[list[float]]:
        """The vectors of texts; a caller that is cancelled ends the work for them. Errors: EngineError."""
        message = {"op": "embed", "prompts": [list(prompt) for prompt in prompts]}
        try:
            return await self._ask(message)
        except asyncio.CancelledError:
            with contextlib.suppress(EngineError):
                await self._send({"op": "cancel", "id": message["id"]})
            raise

    async def _ask(self, message: dict[str, Any]) -> Any:
        number = self._next_number()
        result = self._results[number] = asyncio.get_running_loop().create_future()
        try:
            message["id"] = number
            await self._send(message)
            return await result
        finally:
            del self._results[number]

    def _next_number(self) -> int:
        self._number += 1
        return self._number

    async def _send(self, message: dict[str, Any]) -> None:
        pipe = self._process.process.stdin
        assert pipe is not None
        try:
            pipe.write(framed(message))
            await pipe.drain()
        except (ConnectionError, RuntimeError):
            raise EngineError("unavailable", "the engine's process ended") from None

    async def _read(self) -> None:
        """Hand every message to what waits for it, until the process ends."""
        pipe, why = self._process.process.stdout, "the engine's process ended"
        assert pipe is not None
        try:
            while (message := await next_frame(pipe)) is not None:
                self._hand_out(message)
        except (ValueError, KeyError, TypeError) as error:
            why = f"the engine wrote no message: {error}"
        self._fail_all(why)
        if not self._ready.done():
            end = await self._process.wait_end() if why.endswith("ended") else why
            if not self._ready.done():
                self._ready.set_exception(engine_failed(f"the engine {end}", f"see {self._process.log}"))

    def _hand_out(self, message: dict[str, Any]) -> None:
        for number, *token in message.get("tokens", ()):
            self._put(number, Token(token[0], token[1], tuple((one[0], one[1]) for one in token[2])))
        for number, *end in message.get("ends", ()):
            self._put(number, End(*end))
        for number, kind, what in message.get("errors", ()):
            error = EngineError(kind, what)
            self._put(number, error)
            self._resolve(number, error)
        for number, value in message.get("results", ()):
            self._resolve(number, value)
        if "pong" in message:
            self._resolve(message["pong"], message["busy"])
        if "ready" in message:
            self.described = message["ready"]
            self._ready.set_result(None)
        if "refused" in message and not self._ready.done():
            refused = message["refused"]
            self._ready.set_exception(engine_failed(refused["what"], refused.get("fix", f"see {self._process.log}")))

    def _put(self, number: int, item: Item) -> None:
        if number in self._answers:  # it may have been cancelled
            self._answers[number].put_nowait(item)

    def _resolve(self, number: int, value: Any) -> None:
        result = self._results.get(number)
        if result is not None and not result.done():
            if isinstance(value, EngineError):
                result.set_exception(value)
            else:
                result.set_result(value)

    def _fail_all(self, why: str) -> None:
        for items in self._answers.values():
            items.put_nowait(EngineError("failed", why))
        for result in self._results.values():
            if not result.done():
                result.set_exception(EngineError("unavailable", why))


class PipeEngine:
    """A `ServingEngine` in a process of our own. `settings` are those of the process, adapters included."""

    def __init__(
        self,
        name: Literal["llama.cpp", "transformers"],
        module: str,
        settings: Mapping[str, Any],
        log: Path,
        *,
        adapters: Mapping[str, Path] | None = None,
        limits: Limits | None = None,
        report: Callable[[str], None] = lambda text: None,
    ):
        self.name = name
        self._module, self._settings, self._log = module, settings, log
        self._adapters: dict[str, Path] = dict(adapters or {})
        self._supervisor = Supervisor(self._start, limits or Limits(), report)
        self._changing = asyncio.Lock()
        self.context, self.slots = 0, 1
        self.features: frozenset[Feature] = frozenset()
        self.ends: tuple[int, ...] = ()

    @property
    def restarts(self) -> int:
        return self._supervisor.restarts

    @property
    def failure(self) -> RunError | None:
        """Why the process is not started again."""
        return self._supervisor.failure

    @property
    def process_id(self) -> int | None:
        child = self._supervisor.child
        return None if child is None else child.process_id

    async def open(self) -> None:
        """Start it. Errors: RunError `run.engine-failed`."""
        await self._supervisor.open()
        described = self._child().described
        self.context, self.slots = described["context"], described["slots"]
        self.features, self.ends = frozenset(described["features"]), tuple(described["ends"])

    async def complete(self, asked: Asked) -> AsyncIterator[Token | End]:
        answer = self._child().complete(asked)
        try:
            async for item in answer:
                yield item
        finally:
            await answer.aclose()  # pyright: ignore[reportAttributeAccessIssue]

    async def embed(self, prompts: Sequence[Sequence[int]]) -> list[list[float]]:
        if "embeddings" not in self.features:
            raise EngineError("refused", f"{self.name} gives no embeddings here")
        return await self._child().embed(prompts)

    async def add_adapter(self, name: str, source: Path) -> None:
        """Load an adapter, in the form that the process reads. Errors: EngineError."""
        async with self._changing:
            if name in self._adapters:
                raise EngineError("refused", f"there is an adapter '{name}'")
            await self._child().command("add_adapter", name=name, path=str(source))
            self._adapters[name] = source

    async def remove_adapter(self, name: str) -> None:
        """Unload an adapter; answers under way with it are finished. Errors: EngineError."""
        async with self._changing:
            if name not in self._adapters:
                raise EngineError("refused", f"there is no adapter '{name}'")
            await self._child().command("remove_adapter", name=name)
            del self._adapters[name]  # only now: a process that is started meanwhile has it

    async def is_ready(self) -> bool:
        child = self._supervisor.child
        if child is None:
            return False
        with contextlib.suppress(TimeoutError, EngineError, EngineProbeError):
            async with asyncio.timeout(1):
                await child.probe()
                return True
        return False

    async def close(self) -> None:
        await self._supervisor.close()

    async def _start(self) -> PipeChild:
        adapters = {name: str(path) for name, path in self._adapters.items()}
        return await PipeChild.start(self._module, {**self._settings, "adapters": adapters}, self._log)

    def _child(self) -> PipeChild:
        child = self._supervisor.child
        if child is None:
            failure = self._supervisor.failure
            raise EngineError("unavailable", "the engine is being started again" if failure is None else failure.what)
        return child


def _request(asked: Asked) -> dict[str, Any]:
    return {**asdict(asked), "draw": {**asdict(asked.draw), "logit_bias": dict(asked.draw.logit_bias)}}
