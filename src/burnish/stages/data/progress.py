"""Progress of reading rows."""

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from burnish.core.context import Context
from burnish.core.errors import RunError
from burnish.core.events import Progress
from burnish.data.record import ReadReport

_SECONDS_BETWEEN_REPORTS = 0.5
Item = TypeVar("Item")


def reported(items: Iterable[Item], phase: str, reading: ReadReport, ctx: Context) -> Iterator[Item]:
    """The items, reporting progress and stopping when requested."""
    reported, count = time.monotonic(), 0
    for item in items:
        yield item
        count += 1
        if count % 64 == 0 and time.monotonic() - reported > _SECONDS_BETWEEN_REPORTS:
            reported = time.monotonic()
            ctx.emit(_progress(phase, reading, count))
            if ctx.stopping:
                raise RunError("run.interrupted", f"stopped after {count:,} rows", "run it again: it starts over")
    ctx.emit(Progress(phase=phase, done=count, total=count))


def _progress(phase: str, reading: ReadReport, rows: int) -> Progress:
    if reading.total_bytes:
        return Progress(phase=phase, done=reading.done_bytes, total=reading.total_bytes, unit="bytes")
    return Progress(phase=phase, done=rows)
