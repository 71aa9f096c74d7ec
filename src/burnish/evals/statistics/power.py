"""What a paired comparison can see: the minimum detectable effect, and the rows that an effect needs.

What decides is the variance of the difference of a row between the two models. For scores of 0 and 1 it is the share of
rows on which the models differ (the discordance). Before a run it is assumed, after a run it is measured.

Binary scores: the power of the exact McNemar test, or, where more than a few hundred rows differ, the normal
approximation of Connor (1987, Biometrics 43). Other scores: the normal approximation with Student's t.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from burnish.evals.statistics.intervals import NORMAL, Floats

_EXACT_UP_TO = 300
"""Discordant rows."""
_MOST_ROWS = 10**8
_lgamma = np.vectorize(math.lgamma, otypes=[np.float64])


@dataclass(frozen=True)
class Design:
    """A paired comparison of `rows` independent rows at a two-sided error `alpha`; `variance` is that of a row."""

    rows: float
    alpha: float
    power: float = 0.8
    variance: float = 0.1
    is_binary: bool = True

    def detectable(self) -> float | None:
        """The smallest true difference that is found with this power; None if no possible one is."""
        if self.rows < 2 or self.variance <= 0:
            return None
        if not self.is_binary:
            return (self._quantile() + NORMAL.inv_cdf(self.power)) * (self.variance / self.rows) ** 0.5
        if _power_binary(self.rows, self.variance, self.variance, self.alpha) < self.power:
            return None
        return _smallest(lambda effect: self.chance(effect) >= self.power, self.variance)

    def chance(self, effect: float) -> float:
        """The probability that a true difference is found in its direction."""
        if self.is_binary:
            return _power_binary(self.rows, self.variance, effect, self.alpha)
        return NORMAL.cdf(effect / (self.variance / self.rows) ** 0.5 - self._quantile())

    def shown_margin(self) -> float | None:
        """The smallest margin within which equal models are shown to be, with this power."""
        if self.rows < 2 or self.variance <= 0:
            return None
        return (self._quantile() + NORMAL.inv_cdf(self.power)) * (self.variance / self.rows) ** 0.5

    def rows_for(self, effect: float) -> int | None:
        """The rows that a true difference of this size needs; None if it is larger than the discordance."""
        if self.is_binary and effect > self.variance:
            return None
        low, high = 1, 2
        while self._with(high).chance(effect) < self.power:
            low, high = high, high * 2
            if high > _MOST_ROWS:
                return None
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._with(middle).chance(effect) >= self.power else (middle, high)
        return high

    def _with(self, rows: float) -> "Design":
        return Design(rows, self.alpha, self.power, self.variance, self.is_binary)

    def _quantile(self) -> float:
        """Student's t, by its expansion (Abramowitz 26.7.5)."""
        z, v = NORMAL.inv_cdf(1 - self.alpha / 2), max(self.rows - 1, 1)
        return z + (z**3 + z) / (4 * v) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)


def _smallest(is_enough: Callable[[float], bool], most: float) -> float:
    low, high = 0.0, most
    while high - low > 1e-4 * most:
        middle = (low + high) / 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high


@lru_cache(maxsize=8192)
def _power_binary(rows: float, discordance: float, effect: float, alpha: float) -> float:
    if discordance * rows > _EXACT_UP_TO:
        z = NORMAL.inv_cdf(1 - alpha / 2)
        spread = max(discordance - effect**2, 1e-12)
        return NORMAL.cdf((effect * rows**0.5 - z * discordance**0.5) / spread**0.5)
    n = round(rows)
    deviation = (n * discordance * (1 - discordance)) ** 0.5
    first = max(0, int(n * discordance - 6 * deviation - 3))
    counts = np.arange(first, min(n, int(n * discordance + 6 * deviation + 3)) + 1)  # discordant rows
    weights = _binomial(n, discordance, counts)
    gains = (discordance + effect) / (2 * discordance)
    return float(sum(weight * _found(int(k), gains, alpha) for k, weight in zip(counts, weights, strict=True)))


@lru_cache(maxsize=65_536)
def _found(k: int, gains: float, alpha: float) -> float:
    """The probability that McNemar's exact test of k discordant rows favours the candidate."""
    counts = np.arange(k + 1)
    tail = np.cumsum(_binomial(k, 0.5, counts))  # of at most so many losses
    most_losses = int(np.searchsorted(tail, alpha / 2, "right")) - 1
    if most_losses < 0:
        return 0.0
    return float(_binomial(k, 1 - gains, counts[: most_losses + 1]).sum())


def _binomial(n: int, share: float, counts: NDArray[np.int_]) -> Floats:
    if share <= 0 or share >= 1:
        return (counts == (n if share >= 1 else 0)).astype(np.float64)
    logs = [_lgamma(values + 1.0) for values in (counts, n - counts)]
    return np.exp(math.lgamma(n + 1) - logs[0] - logs[1] + counts * math.log(share) + (n - counts) * math.log1p(-share))
