"""Keeps an engine's process running: starts it, looks whether it answers, and starts it again when it does not."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from burnish.core.errors import RunError


class Child(Protocol):
    """A process that was started."""

    async def wait_ready(self) -> None:
        """Return when it answers. Errors: RunError `run.engine-failed` if it ends before."""
        ...

    async def wait_end(self) -> str:
        """Return when the process has ended: how, as a clause."""
        ...

    async def probe(self) -> None:
        """Return when it shows that it works. Errors: EngineProbeError if it shows that it does not."""
        ...

    async def end(self, grace: float) -> None:
        """End the process and all that it started: by SIGTERM, and after `grace` seconds by SIGKILL."""
        ...


class EngineProbeError(Exception):
    """The process answers that it is stuck."""


@dataclass(frozen=True)
class Limits:
    """In seconds."""

    start: float = 300.0
    """Until it is ready."""
    probe_every: float = 1.0
    probe: float = 3.0
    """Until a probe is answered; the second in a row that is not means that the process hangs."""
    end: float = 5.0
    """From SIGTERM to SIGKILL."""
    first_pause: float = 0.1
    """Before the second start; doubled for each further one, up to `longest_pause`."""
    longest_pause: float = 5.0
    failures: int = 5
    """As many failures within `memory` end the attempts."""
    memory: float = 300.0


C = TypeVar("C", bound=Child)


class Supervisor(Generic[C]):
    """Has `child` while a process is ready. All methods are called from one event loop."""

    def __init__(
        self,
        start: Callable[[], Awaitable[C]],
        limits: Limits = Limits(),
        report: Callable[[str], None] = lambda text: None,
    ):
        """`start` starts a process; `report` gets a sentence for each restart."""
        self._start, self._limits, self._report = start, limits, report
        self.child: C | None = None
        self.restarts = 0
        self.failure: RunError | None = None
        """Why it was given up."""
        self._failed_at: list[float] = []
        self._watching: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Start the process. Errors: RunError `run.engine-failed` if it is not ready in time, or ends."""
        self.child = await self._started()
        self._watching = asyncio.create_task(self._watch(self.child))
        self._watching.add_done_callback(self._report_fault)

    async def close(self) -> None:
        """End the process, and the watch."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
        child, self.child = self.child, None
        if child is not None:
            await child.end(self._limits.end)

    def _report_fault(self, watching: asyncio.Task[None]) -> None:
        """A fault of the watch itself ends the engine, too: nothing would start it again."""
        error = None if watching.cancelled() else watching.exception()
        if error is not None:
            self.child, self.failure = None, engine_failed(f"the watch of the engine failed: {error}", "report this")

    async def _started(self) -> C:
        child = await self._start()
        try:
            async with asyncio.timeout(self._limits.start):
                await child.wait_ready()
        except TimeoutError:
            await child.end(0)
            what = f"the engine was not ready within {self._limits.start:g} s"
            raise engine_failed(what, "set a longer start_seconds, or see the engine's log") from None
        except BaseException:
            await child.end(0)
            raise
        return child

    async def _watch(self, child: C) -> None:
        while True:
            why = await self._broken(child)
            self.child = None
            began = time.monotonic()
            await child.end(0)
            while True:
                if not await self._may_restart(why):
                    return
                try:
                    child = await self._started()
                    break
                except RunError as error:
                    why = error.what
            self.restarts += 1
            self.child = child
            self._report(f"the engine {why}; it was started again in {time.monotonic() - began:.1f} s")

    async def _may_restart(self, why: str) -> bool:
        """Wait before the next start; False once there were too many failures."""
        limits, now = self._limits, time.monotonic()
        self._failed_at = [*(at for at in self._failed_at if at > now - limits.memory), now]
        count = len(self._failed_at)
        if count >= limits.failures:
            what = f"the engine failed {count} times within {limits.memory:g} s; at last it {why}"
            self.failure = engine_failed(what, "see the engine's log")
            return False
        if count > 1:
            await asyncio.sleep(min(limits.longest_pause, limits.first_pause * 2 ** (count - 2)))
        return True

    async def _broken(self, child: C) -> str:
        """Return when the process has ended or hangs: a clause that says which."""
        ended = asyncio.create_task(child.wait_end())
        silent = 0
        try:
            while True:
                done, _ = await asyncio.wait([ended], timeout=self._limits.probe_every)
                if done:
                    return ended.result()
                try:
                    async with asyncio.timeout(self._limits.probe):
                        await child.probe()
                    silent = 0
                except EngineProbeError as error:
                    return str(error)
                except Exception:  # no answer in time, or a broken connection: it may be about to end
                    silent += 1
                    if silent > 1:
                        return f"did not answer for {2 * self._limits.probe:g} s"
        finally:
            ended.cancel()


def engine_failed(what: str, fix: str) -> RunError:
    return RunError("run.engine-failed", what, fix)
