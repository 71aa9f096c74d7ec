"""Counts refused logins and tokens: after some in a minute, an address is told to wait.

A valid secret is accepted all the same. It has 256 random bits, which nobody guesses; so the limit keeps the logs and
the processor free, and nobody who shares an address, as all programs of one machine do, can lock another one out.
"""

import math
import time
from collections import OrderedDict, deque

from burnish.core.errors import AskError

_MOST = 10
_SECONDS = 60.0
_MOST_ADDRESSES = 10_000


class Failures:
    """The refusals of the last minute, by address."""

    def __init__(self) -> None:
        self._found: OrderedDict[str, deque[float]] = OrderedDict()

    def refuse(self, address: str, error: AskError) -> AskError:
        """Count a refusal; returns the error to raise: this one, or that there were too many."""
        now = time.monotonic()
        times = self._found.setdefault(address, deque())
        self._found.move_to_end(address)
        while times and times[0] <= now - _SECONDS:
            times.popleft()
        if len(times) >= _MOST:
            wait = max(1, math.ceil(times[0] + _SECONDS - now))
            what = f"more than {_MOST} logins or tokens from {address} were refused in a minute"
            return AskError("ask.too-often", what, f"wait {wait} s; a valid one is accepted at any time")
        times.append(now)
        while len(self._found) > _MOST_ADDRESSES:
            self._found.popitem(last=False)
        return error
