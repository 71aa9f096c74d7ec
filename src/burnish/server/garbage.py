"""Collections of garbage that clients do not wait for.

A collection of the oldest generation looks at all that the server holds: with a thousand listed runs it takes a tenth
of a second, in which nothing is answered. So what one found in use is left out of the next ones.
"""

import gc
import time
from typing import Any

_ALL_SECONDS = 600.0
"""After which one collection looks at all again: what was in use, and is a cycle of garbage by now, ends there."""


def collect_briefly() -> None:
    """Leave what is in use now, such as imported modules, out of the collections of this process."""
    gc.collect()
    gc.freeze()
    gc.callbacks.append(_LeaveOut())


class _LeaveOut:
    """Called before and after each collection, by the thread that collects."""

    def __init__(self) -> None:
        self._looked = time.monotonic()

    def __call__(self, phase: str, found: dict[str, Any]) -> None:
        if found["generation"] < 2:
            return
        if phase == "stop":
            gc.freeze()
        elif time.monotonic() - self._looked >= _ALL_SECONDS:
            gc.unfreeze()
            self._looked = time.monotonic()
