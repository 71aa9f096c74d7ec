"""The processes of the playground: one for each base, adapters loaded beside it when they are asked for.

At most some processes, and some adapters in each: what was not used for longest makes room. An idle process is ended.
"""

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from burnish.core.errors import BurnishError, RunError
from burnish.core.runs.workspace import Workspace
from burnish.studio.playground.process import ModelProcess
from burnish.studio.playground.references import Placed

Report = Callable[[str], None]


@dataclass(frozen=True)
class Limits:
    """Of a pool; times in seconds."""

    processes: int = 2
    adapters: int = 4
    """In each process."""
    idle: float = 600.0
    """After which a process is ended."""
    wait: float = 120.0
    """For a place while all processes are answering."""


@dataclass
class _Adapter:
    loading: "asyncio.Task[None]"
    users: int = 0
    used: float = 0.0

    @property
    def has_failed(self) -> bool:
        return self.loading.done() and (self.loading.cancelled() or self.loading.exception() is not None)


@dataclass
class _Session:
    """A process, or its start."""

    ref: str
    starting: "asyncio.Task[ModelProcess]"
    reports: set[Report]
    users: int = 0
    used: float = 0.0
    adapters: dict[str, _Adapter] = field(default_factory=dict[str, _Adapter])
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def is_broken(self) -> bool:
        """Whether it could not be started, or has ended."""
        if not self.starting.done():
            return False
        return self.starting.cancelled() or bool(self.starting.exception()) or not self.starting.result().is_alive


class Pool:
    """All methods are called from one event loop."""

    def __init__(self, workspace: Path | str | None = None, limits: Limits | None = None):
        self._place, self._limits = Workspace.find(workspace), limits or Limits()
        self._sessions: dict[str, _Session] = {}
        self._changed = asyncio.Condition()
        self._ending: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def using(self, placed: Placed, report: Report) -> AsyncGenerator[tuple[ModelProcess, str]]:
        """The process that has a model, with the name of the model in it; both stay until the context ends.

        `report` gets a sentence for each thing that loading does. Errors: those of loading; RunError `run.busy` if all
        processes are answering for long.
        """
        session = await self._session(placed)
        session.reports.add(report)
        try:
            process = await self._start_of(session)
            if placed.adapter is None:
                yield process, process.ready["model"]
                return
            async with self._adapter(session, process, placed) as name:
                yield process, name
        finally:
            session.reports.discard(report)
            await asyncio.shield(self._release(placed.key, session))

    async def _start_of(self, session: _Session) -> ModelProcess:
        try:
            return await asyncio.shield(session.starting)  # it goes on for others, and for the next request
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling() or not session.starting.cancelled():
                raise
            what = "the playground was closed while the model was loaded"
            raise RunError("run.interrupted", what, "ask again once the server is back") from None

    def loaded(self) -> list[dict[str, Any]]:
        """The processes: the model of each, its engine, how many answers are under way, and seconds since the last."""
        found: list[dict[str, Any]] = []
        for session in self._sessions.values():
            is_ready = session.starting.done() and not session.is_broken
            found.append(
                {
                    "model": session.ref,
                    "state": "ready" if is_ready else "ended" if session.starting.done() else "loading",
                    "engine": session.starting.result().ready["engine"] if is_ready else None,
                    "process": session.starting.result().process_id if is_ready else None,
                    "answering": session.users,
                    "adapters": len(session.adapters),
                    "idle_seconds": 0.0 if session.users else round(time.monotonic() - session.used, 1),
                }
            )
        return found

    async def close(self) -> None:
        """End all processes."""
        for key in list(self._sessions):
            self._end(key)
        await asyncio.gather(*self._ending, return_exceptions=True)

    async def _session(self, placed: Placed) -> _Session:
        """The session of a model, with this user counted: an existing one, or a new one once there is room."""
        async with self._changed:
            try:
                async with asyncio.timeout(self._limits.wait):
                    while not self._has_room(placed.key):
                        await self._changed.wait()
            except TimeoutError:
                what = f"all {self._limits.processes} processes of the playground are answering"
                raise RunError("run.busy", what, "wait for an answer, or close one") from None
            session = self._sessions.get(placed.key)
            if session is None:
                session = self._sessions[placed.key] = self._started(placed)
            session.users += 1
            return session

    def _has_room(self, key: str) -> bool:
        """Whether a model is loaded, or may be: an idle process is ended for it."""
        for other, session in list(self._sessions.items()):
            if session.is_broken:
                self._end(other)
        if key in self._sessions or len(self._sessions) < self._limits.processes:
            return True
        idle = [(session.used, other) for other, session in self._sessions.items() if not session.users]
        if not idle:
            return False
        self._end(min(idle)[1])
        return True

    def _started(self, placed: Placed) -> _Session:
        reports: set[Report] = set()

        def report(text: str) -> None:
            for one in list(reports):
                one(text)

        async def start() -> ModelProcess:
            if self._ending:
                await asyncio.wait(set(self._ending))  # for the memory of the one that made room
            return await ModelProcess.start(placed.source, folder, self._place.cache, report)

        digest = hashlib.sha256(placed.key.encode(errors="surrogateescape")).hexdigest()[:16]
        folder = self._place.root / ".burnish" / "playground" / digest
        starting = asyncio.create_task(start())
        starting.add_done_callback(lambda task: task.cancelled() or task.exception())  # each user gets it, or nobody
        return _Session(placed.source.ref, starting, reports)

    @asynccontextmanager
    async def _adapter(self, session: _Session, process: ModelProcess, placed: Placed) -> AsyncGenerator[str]:
        """An adapter that is loaded in the process."""
        name, source = placed.name, placed.adapter
        assert name is not None
        assert source is not None
        async with session.changing:
            adapter = session.adapters.get(name)
            if adapter is None or adapter.has_failed:
                await self._make_room(session, process)
                adapter = session.adapters[name] = _Adapter(asyncio.create_task(process.load(name, source)))
            adapter.users += 1
        try:
            await asyncio.shield(adapter.loading)  # it goes on for others: the process would have it unknown to us
            yield name
        finally:
            adapter.users -= 1
            adapter.used = time.monotonic()
            if adapter.has_failed and session.adapters.get(name) is adapter:
                del session.adapters[name]

    async def _make_room(self, session: _Session, process: ModelProcess) -> None:
        """Unload the adapters that were not used for longest, unless they are answering."""
        idle = sorted((one.used, name) for name, one in session.adapters.items() if not one.users)
        for _, name in idle[: max(0, len(session.adapters) + 1 - self._limits.adapters)]:
            del session.adapters[name]  # first: if this is cancelled, the process does it all the same
            await process.unload(name)

    async def _release(self, key: str, session: _Session) -> None:
        async with self._changed:
            session.users -= 1
            session.used = time.monotonic()
            if session.is_broken and self._sessions.get(key) is session:
                self._end(key)
            self._changed.notify_all()
        asyncio.get_running_loop().call_later(self._limits.idle, self._end_if_idle, key, session)

    def _end_if_idle(self, key: str, session: _Session) -> None:
        is_idle = not session.users and time.monotonic() - session.used >= self._limits.idle * 0.99
        if is_idle and self._sessions.get(key) is session:
            self._end(key)

    def _end(self, key: str) -> None:
        session = self._sessions.pop(key)

        async def end() -> None:
            session.starting.cancel()
            with contextlib.suppress(BurnishError, asyncio.CancelledError):
                process = await session.starting
                await process.close()

        task = asyncio.create_task(end())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
