"""Confidence intervals of metrics measured on a sample of rows.

Proportions use Wilson's score interval (Wilson 1927, JASA 22), which is valid at 0 % and 100 %, where the width of a
bootstrap interval is 0. Other metrics use the bias-corrected and accelerated bootstrap (BCa; Efron 1987, JASA 82)
over rows, widened for few rows as in Hesterberg (2015, The American Statistician 69, "expanded percentile").
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]
"""Maps sums over rows [..., k] to the measured value [...]."""

RESAMPLES = 4000
_CHUNK = 2_000_000
NORMAL = NormalDist()


@dataclass(frozen=True)
class Interval:
    """A confidence interval and its method."""

    low: float
    high: float
    method: str


def is_binary(values: Floats) -> bool:
    """True if every value is 0 or 1."""
    return bool(np.isin(values, (0.0, 1.0)).all())


def mean_interval(values: Floats, confidence: float, seed: int) -> Interval | None:
    """Interval of the mean of values [n]; None for fewer than two values (binary values: for none)."""
    if values.size and is_binary(values):
        return wilson(int(values.sum()), values.size, confidence)
    return bootstrap(np.stack([values, np.ones_like(values)], axis=1), ratio, confidence, seed)


def ratio(sums: Floats) -> Floats:
    """The statistic Σ first column / Σ second column."""
    return sums[..., 0] / sums[..., 1]


def wilson(right: int, n: int, confidence: float) -> Interval:
    """Wilson's score interval for `right` of `n`."""
    z = NORMAL.inv_cdf(0.5 + confidence / 2)
    share, scale = right / n, 1 + z * z / n
    centre = (share + z * z / (2 * n)) / scale
    half = z / scale * ((share * (1 - share) + z * z / (4 * n)) / n) ** 0.5
    return Interval(0.0 if right == 0 else centre - half, 1.0 if right == n else centre + half, "Wilson")


def bootstrap(
    columns: Floats, statistic: Statistic, confidence: float, seed: int, resamples: int | None = None
) -> Interval | None:
    """BCa interval of a statistic of the column sums of `columns` [n, k]; None for fewer than two rows, and for rows
    that are NaN or infinite.

    Deterministic for a given seed.
    """
    n, resamples = len(columns), RESAMPLES if resamples is None else resamples
    if n < 2 or not np.isfinite(columns).all():
        return None
    measured = float(statistic(columns.sum(axis=0)))
    drawn = np.sort(np.concatenate(list(_resampled(columns, statistic, seed, resamples))))
    if drawn[0] == drawn[-1]:
        return Interval(measured, measured, "BCa bootstrap")
    below = (np.searchsorted(drawn, measured, "left") + np.searchsorted(drawn, measured, "right")) / 2 / resamples
    bias = NORMAL.inv_cdf(float(np.clip(below, 1 / (2 * resamples), 1 - 1 / (2 * resamples))))
    acceleration = _acceleration(columns, statistic)
    low, high = (
        float(np.quantile(drawn, _corrected(z, bias, acceleration)))
        for z in (-_expanded(confidence, n), _expanded(confidence, n))
    )
    return Interval(low, high, "BCa bootstrap")


def _resampled(columns: Floats, statistic: Statistic, seed: int, resamples: int) -> Iterator[Floats]:
    random, n = np.random.default_rng(seed), len(columns)
    step = max(1, _CHUNK // columns.size)
    for first in range(0, resamples, step):
        chosen = random.integers(n, size=(min(step, resamples - first), n))
        yield statistic(columns[chosen].sum(axis=1))


def _acceleration(columns: Floats, statistic: Statistic) -> float:
    """The skewness of the jackknife values divided by six (Efron 1987, eq. 7.3 for a nonparametric sample)."""
    left_out = statistic(columns.sum(axis=0) - columns)
    pull = left_out.mean() - left_out
    spread = float((pull**2).sum())
    return float((pull**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0


def _corrected(z: float, bias: float, acceleration: float) -> float:
    """The quantile of the resamples to use instead of Φ(z) (Efron 1987, eq. 2.3)."""
    z += bias
    slope = 1 - acceleration * z
    if slope <= 0:  # an extreme outlier: the correction exceeds the last resample
        return float(z > 0)
    return NORMAL.cdf(bias + z / slope)


def _expanded(confidence: float, n: int) -> float:
    """√(n/(n-1)) times Student's t at n-1 degrees of freedom, by its expansion in 1/(n-1) (Abramowitz 26.7.5)."""
    z, v = NORMAL.inv_cdf(0.5 + confidence / 2), n - 1
    t = z + (z**3 + z) / (4 * v) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
    return (n / v) ** 0.5 * t
