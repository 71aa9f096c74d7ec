"""The threads in which routes work: slow work cannot take those of quick answers, and nobody waits without end.

A route that is a plain `def` runs in a thread of its crew, in one hop: its pydantic model is written in the loop.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any, Literal, ParamSpec, TypeVar, get_args

import anyio
import anyio.to_thread

from burnish.core.errors import MachineError

Work = Literal["quick", "queue", "slow", "streams"]
"""What a route does: reads a few files; asks the database, which may be locked for seconds; asks a child process, plans
or copies; looks for events of an open stream."""
_THREADS: dict[Work, int] = {"quick": 8, "queue": 8, "slow": 8, "streams": 8}
_MOST_WAITING: dict[Work, int] = {"quick": 512, "queue": 128, "slow": 64, "streams": 1024}
"""Requests that wait for a thread; one more is refused. There are no more streams than `MOST_STREAMS`."""
P = ParamSpec("P")
Result = TypeVar("Result")


class Crews:
    """The threads of a server, a crew for each kind of work."""

    def __init__(self) -> None:
        self._limits = {work: anyio.CapacityLimiter(_THREADS[work]) for work in get_args(Work)}

    async def run(self, work: Work, call: Callable[P, Result], /, *args: P.args, **named: P.kwargs) -> Result:
        """The result of a call in a thread of a crew. Errors: MachineError `machine.busy` if too many wait for one."""
        limit = self._limits[work]
        if limit.available_tokens <= 0 and limit.statistics().tasks_waiting >= _MOST_WAITING[work]:
            what = f"{_MOST_WAITING[work]} requests wait for the same kind of work"
            raise MachineError("machine.busy", what, "try again in a moment")
        return await anyio.to_thread.run_sync(functools.partial(call, *args, **named), limiter=limit)


crews = Crews()


def in_crew(work: Work, endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """A route's function that works in a crew; one that is asynchronous stays as it is."""
    if inspect.iscoroutinefunction(endpoint):
        return endpoint

    @functools.wraps(endpoint)
    async def hired(*args: Any, **named: Any) -> Any:
        return await crews.run(work, endpoint, *args, **named)

    return hired
