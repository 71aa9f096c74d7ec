"""Agreement of verdicts: Krippendorff's alpha and Cohen's kappa, with bootstrap intervals over rows.

Alpha (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability") compares any number of raters, some of whose
verdicts may be missing; kappa (Cohen 1960; weighted, with squared distances: Cohen 1968) compares two on complete rows.
Both are 1 for perfect agreement, 0 for that of chance, and undefined where all verdicts are the same.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from burnish.evals.statistics.intervals import Floats, bootstrap
from burnish.specs.evals.judge import Level

_RESAMPLES = 1000


@dataclass(frozen=True)
class Agreement:
    """A coefficient with its interval; None where it is undefined. `rows` are those that count."""

    value: float | None
    low: float | None
    high: float | None
    rows: int

    def to_json(self) -> dict[str, Any]:
        return {"value": self.value, "low": self.low, "high": self.high, "rows": self.rows}


def alpha(ratings: Sequence[Sequence[float | None]], level: Level, confidence: float, seed: int) -> Agreement:
    """Krippendorff's alpha of `ratings` [rows][raters]; None is a missing one. Rows with one rating do not count."""
    given = [[value for value in row if value is not None] for row in ratings]
    given = [row for row in given if len(row) > 1]
    values = sorted({value for row in given for value in row})
    place = {value: index for index, value in enumerate(values)}
    columns = np.zeros((len(given), len(values) ** 2))
    for row, cells in zip(given, columns, strict=True):
        counts = np.bincount([place[value] for value in row], minlength=len(values)).astype(np.float64)
        cells[:] = ((np.outer(counts, counts) - np.diag(counts)) / (len(row) - 1)).ravel()
    scale = np.array(values)

    def statistic(sums: Floats) -> Floats:
        seen = sums.reshape(*sums.shape[:-1], len(values), len(values))
        totals = seen.sum(axis=-1)
        n = totals.sum(axis=-1)
        distance = _squared_distances(totals, scale, level)
        expected = (totals[..., :, None] * totals[..., None, :] * distance).sum(axis=(-2, -1)) / np.maximum(n - 1, 1)
        return _one_minus((seen * distance).sum(axis=(-2, -1)), expected)

    return _estimate(columns, statistic, len(values), confidence, seed)


def kappa(
    pairs: Sequence[tuple[float, float]], points: Sequence[float], confidence: float, seed: int, *, weighted: bool
) -> Agreement:
    """Cohen's kappa of two raters; `points` are the verdicts of the scale in order. Weighted by squared distance."""
    size, place = len(points), {value: index for index, value in enumerate(points)}
    columns = np.zeros((len(pairs), size * size))
    for row, (one, other) in enumerate(pairs):
        columns[row, place[one] * size + place[other]] = 1.0
    steps = np.subtract.outer(np.arange(size), np.arange(size)).astype(np.float64)
    distance = steps**2 if weighted else (steps != 0).astype(np.float64)

    def statistic(sums: Floats) -> Floats:
        seen = sums.reshape(*sums.shape[:-1], size, size)
        n = np.maximum(seen.sum(axis=(-2, -1)), 1)
        by_chance = seen.sum(axis=-1)[..., :, None] * seen.sum(axis=-2)[..., None, :] / n[..., None, None]
        return _one_minus((seen * distance).sum(axis=(-2, -1)), (by_chance * distance).sum(axis=(-2, -1)))

    return _estimate(columns, statistic, len({value for pair in pairs for value in pair}), confidence, seed)


def _squared_distances(totals: Floats, values: Floats, level: Level) -> Floats:
    """Krippendorff's δ² [..., v, v]; that of ordinal values depends on how often each occurs."""
    if level == "nominal":
        return 1.0 - np.eye(len(values))
    ranks = values if level == "interval" else np.cumsum(totals, axis=-1) - totals / 2
    return (ranks[..., :, None] - ranks[..., None, :]) ** 2


def _one_minus(observed: Floats, expected: Floats) -> Floats:
    """1 - observed / expected; 1 for a resample whose verdicts are all the same, where nothing disagrees."""
    expected = np.asarray(expected)
    return np.where(expected > 0, 1.0 - observed / np.where(expected > 0, expected, 1.0), 1.0)


def _estimate(
    columns: Floats, statistic: Callable[[Floats], Floats], distinct: int, confidence: float, seed: int
) -> Agreement:
    if len(columns) == 0 or distinct < 2:
        return Agreement(None, None, None, len(columns))
    interval = bootstrap(columns, statistic, confidence, seed, _RESAMPLES)
    ends = (None, None) if interval is None else (interval.low, interval.high)
    return Agreement(float(statistic(columns.sum(axis=0))), *ends, len(columns))
