"""The sign-flip permutation test (Fisher 1935): swap the models of a row, or of a whole cluster of rows, at random.

All flips are counted up to 12 rows, and random ones beyond, as in Phipson and Smyth (2010).
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np

from burnish.evals.statistics.intervals import Floats, Statistic

Side = Literal["both", "above", "below"]

FLIPS = 10_000
_EXACT_UP_TO = 12
_CHUNK = 2_000_000


def sign_flip(columns: Floats, statistic: Statistic, seed: int, side: Side = "both") -> float:
    """The p-value of a paired statistic of the sums of `columns` [n, 2k]: k of the base, k of the candidate.

    `side` says which values count as extreme: far from 0 on both sides (two-sided), or at least, or at most, the
    measured one. 1 for rows that are NaN or infinite: no flip can be ordered among them.
    """
    if not np.isfinite(columns).all():
        return 1.0
    n, k = len(columns), columns.shape[1] // 2
    total = (columns[:, :k] + columns[:, k:]).sum(axis=0)
    differences = columns[:, :k] - columns[:, k:]  # [n, k]
    measured = _on(side, statistic(columns.sum(axis=0)))
    threshold = float(measured - 1e-9 * abs(measured))
    extreme = flips = 0
    for signs in _signs(n, seed):
        moved = signs @ differences  # [flips, k]
        flipped = statistic(np.concatenate([total + moved, total - moved], axis=1) / 2)
        extreme += int((_on(side, flipped) >= threshold).sum())
        flips += len(signs)
    return extreme / flips if n <= _EXACT_UP_TO else (extreme + 1) / (flips + 1)


def _on(side: Side, values: Floats) -> Floats:
    return np.abs(values) if side == "both" else values if side == "above" else -values


def _signs(n: int, seed: int) -> Iterator[Floats]:
    """Batches of sign patterns ±1 [flips, n]: all of them up to 12 rows, else random ones."""
    if n <= _EXACT_UP_TO:
        yield 1.0 - 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
        return
    random, step = np.random.default_rng(seed), max(1, _CHUNK // n)
    for first in range(0, FLIPS, step):
        yield random.integers(0, 2, size=(min(step, FLIPS - first), n)).astype(np.float64) * 2 - 1
