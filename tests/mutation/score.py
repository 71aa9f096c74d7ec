"""From outcomes to a score with its interval."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

Z = 1.959963984540054
"""Of a two-sided interval of 95 %."""


@dataclass(frozen=True)
class Room:
    """Counts of one room. Equivalent mutants are in none of them but their own."""

    total: int
    """All mutants of the room, sampled or not."""
    failed: int = 0
    timeout: int = 0
    crash: int = 0
    survived: int = 0
    not_covered: int = 0
    equivalent: int = 0

    @property
    def killed(self) -> int:
        return self.failed + self.timeout + self.crash

    @property
    def tried(self) -> int:
        return self.killed + self.survived + self.not_covered

    @property
    def score(self) -> float:
        return self.killed / self.tried if self.tried else math.nan


def wilson(share: float, count: float) -> tuple[float, float]:
    """The Wilson interval of a share observed in `count` trials."""
    if count <= 0:
        return 0.0, 1.0
    centre = (share + Z * Z / (2 * count)) / (1 + Z * Z / count)
    half = Z * math.sqrt(share * (1 - share) / count + Z * Z / (4 * count * count)) / (1 + Z * Z / count)
    return max(0.0, centre - half), min(1.0, centre + half)


def overall(rooms: Mapping[str, Room]) -> tuple[float, tuple[float, float]]:
    """The score over rooms weighted by their mutants, with the Wilson interval for the effective number of trials.

    That number is the one at which a plain sample would have the variance of the stratified one; a room's variance is
    taken at (killed + 1) / (tried + 2), since a room without survivors has not shown that it can have none.
    """
    seen = [room for room in rooms.values() if room.tried]
    total = sum(room.total for room in seen)
    if not total:
        return math.nan, (0.0, 1.0)
    share, variance = 0.0, 0.0
    for room in seen:
        weight, smooth = room.total / total, (room.killed + 1) / (room.tried + 2)
        share += weight * room.score
        variance += weight**2 * smooth * (1 - smooth) / room.tried
    smooth = sum(room.total / total * (room.killed + 1) / (room.tried + 2) for room in seen)
    return share, wilson(share, smooth * (1 - smooth) / variance)
