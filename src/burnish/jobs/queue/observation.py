"""Leases of others, as one process observes them: a lease is lost when its holder is silent, by the observer's clock.

Clocks of machines differ and jump, so no time is written into a lease. A holder counts up its beat; an observer
remembers the (fence, beat) that it saw, and for how long it has looked at the same one.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

LEASE_SECONDS = 30.0
"""How long a holder may be silent before its job is another's."""
_HELD = 0.75
"""The part of it after which a holder that could not renew stops: it is gone before another one starts."""
_LOOKS = 4
"""The least number of looks at a lease before it is lost: an observer that was suspended itself has seen nothing."""
_MOST_LOOKS = 30
"""Looks in the time of a lease. Each is a change, for which others wait."""


@dataclass
class _Seen:
    beat: tuple[int, int]
    silent: float
    looked: float


class Observation:
    """What one process has seen of running jobs. Not for several threads."""

    def __init__(self, lease_seconds: float = LEASE_SECONDS, clock: Callable[[], float] = time.monotonic):
        self.lease_seconds, self.clock = lease_seconds, clock
        self._seen: dict[int, _Seen] = {}
        self._looked: float | None = None

    @property
    def is_due(self) -> bool:
        """Whether the last look was long enough ago."""
        return self._looked is None or self.clock() - self._looked >= self.lease_seconds / _MOST_LOOKS

    def deadline(self, began: float) -> float:
        """When this process must have stopped, if its last renewal was sent at `began`: others look from when they saw
        it, which was later."""
        return began + _HELD * self.lease_seconds

    def lost(self, running: Iterable[tuple[int, int, int]]) -> set[int]:
        """Look at all running jobs, as (id, fence, beat); gives the ids of those that are silent for too long."""
        now, seen = self.clock(), dict[int, _Seen]()
        self._looked = now
        for number, fence, beat in running:
            before = self._seen.get(number)
            if before is None or before.beat != (fence, beat):
                seen[number] = _Seen((fence, beat), 0.0, now)
            else:
                gap = min(now - before.looked, self.lease_seconds / _LOOKS)
                seen[number] = _Seen(before.beat, before.silent + gap, now)
        self._seen = seen
        return {number for number, one in seen.items() if one.silent >= self.lease_seconds}
