"""Looks at a part of the rows, with the error of all looks together controlled.

Error is spent over the looks by the O'Brien-Fleming-type function of Lan and DeMets (1983, Biometrika 70): very little
at early looks, so that the last one decides almost as without looks. The spent error becomes a level of each look by
the recursion of Armitage, McPherson and Rowe (1969), since the estimates of the looks have independent increments.

`sequential_p` turns the p-values of the looks into one that is valid at any of them, so that Holm's correction applies
to it as to any other. `levels` gives the confidence 1 - level of the interval of a look: intervals at these levels
contain the truth at all looks together (repeated confidence intervals, Jennison and Turnbull 1989).
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from burnish.evals.statistics.intervals import NORMAL, Floats

_POINTS = 161
"""Of the grid of an estimate that has crossed no boundary; Simpson's rule."""
_ERRORS = np.exp(np.linspace(math.log(1e-6), math.log(0.999), 60))
_erfc = np.vectorize(math.erfc, otypes=[np.float64])


def spent(alpha: float, fraction: float) -> float:
    """The two-sided error spent up to a fraction of the rows: `alpha` at 1."""
    return min(alpha, 4 * (1 - NORMAL.cdf(NORMAL.inv_cdf(1 - alpha / 4) / fraction**0.5))) if fraction < 1 else alpha


def levels(fractions: tuple[float, ...], alpha: float) -> tuple[float, ...]:
    """The two-sided level of each look; `fractions` are the shares of the rows, increasing, of the looks so far."""
    return tuple(_look(fractions[: number + 1], alpha)[0] for number in range(len(fractions)))


@lru_cache(maxsize=4096)
def _look(fractions: tuple[float, ...], alpha: float) -> tuple[float, Floats, Floats]:
    """The level of the last look; the grid and density of the estimates that have crossed no boundary up to it."""
    fraction, before = fractions[-1], fractions[-2] if len(fractions) > 1 else 0.0
    _, grid, density = _look(fractions[:-1], alpha) if before else (0.0, np.empty(0), np.empty(0))
    increment = spent(alpha, fraction) - (spent(alpha, before) if before else 0.0)
    deviation = (fraction - before) ** 0.5
    bound = _bound(grid, density, deviation, increment, fraction)
    points, weights = _simpson(bound)
    if not before:
        values = np.exp(-0.5 * points**2 / fraction) / (2 * math.pi * fraction) ** 0.5
    else:
        gaps = (points[:, None] - grid[None, :]) / deviation
        values = np.exp(-0.5 * gaps**2) @ density / (deviation * (2 * math.pi) ** 0.5)
    return _tail(bound / fraction**0.5), points, values * weights


def sequential_p(p_values: Sequence[float], fractions: Sequence[float]) -> float:
    """The smallest two-sided error at which one of the looks so far is significant."""
    if len(fractions) == 1 and fractions[0] >= 1:
        return p_values[0]
    table = _level_table(tuple(fractions))  # [looks, errors]
    return min(
        float(np.exp(np.interp(math.log(max(p, 1e-300)), np.log(row), np.log(_ERRORS), right=0.0)))
        for p, row in zip(p_values, table, strict=True)
    )


@lru_cache(maxsize=64)
def _level_table(fractions: tuple[float, ...]) -> Floats:
    """The level of each look [looks, errors], at least 1e-300."""
    return np.maximum(np.array([levels(fractions, float(alpha)) for alpha in _ERRORS]).T, 1e-300)


def _tail(z: float) -> float:
    """The two-sided tail of a standard normal."""
    return math.erfc(z / 2**0.5)


def _simpson(bound: float) -> tuple[Floats, Floats]:
    points = np.linspace(-bound, bound, _POINTS)
    weights = np.full(_POINTS, 2.0)
    weights[1::2] = 4.0
    weights[[0, -1]] = 1.0
    return points, weights * (points[1] - points[0]) / 3


def _bound(grid: Floats, density: Floats, deviation: float, increment: float, fraction: float) -> float:
    """The boundary that exactly `increment` of the probability crosses at this look, and at none before."""

    def crossed(bound: float) -> float:
        if not len(grid):
            return _tail(bound / deviation)
        scaled = np.concatenate([bound - grid, bound + grid]) / (deviation * 2**0.5)
        return float(_erfc(scaled) @ np.concatenate([density, density]) / 2)

    low, high = 0.0, 40.0 * fraction**0.5
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if crossed(middle) > increment else (low, middle)
        if high - low < 1e-9:
            break
    return high
