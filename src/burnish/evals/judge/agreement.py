"""Agreement of verdicts: Krippendorff's alpha and Cohen's kappa, with bootstrap intervals over rows.

Alpha (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability") compares any number of raters, some of whose
verdicts may be missing; kappa (Cohen 1960; weighted, with squared distances: Cohen 1968) compares two on complete rows.
Both are 1 for perfect agreement, 0 for that of chance, and undefined where all verdicts are the same.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from burnish.evals.statistics.clusters import Labels, summed
from burnish.evals.statistics.intervals import Floats, bootstrap
from burnish.specs.evals.judge import Level

_RESAMPLES = 1000
_Statistic = Callable[[Floats], Floats]
_MOST_RANKED = 20
"""With more distinct values than these, resamples keep the ranks of all rows: ranks of their own need a column for each
pair of values."""


@dataclass(frozen=True)
class Agreement:
    """A coefficient with its interval; None where it is undefined. `rows` are those that count."""

    value: float | None
    low: float | None
    high: float | None
    rows: int

    def to_json(self) -> dict[str, Any]:
        return {"value": self.value, "low": self.low, "high": self.high, "rows": self.rows}


def alpha(
    ratings: Sequence[Sequence[float | None]],
    level: Level,
    confidence: float,
    seed: int,
    labels: Labels | None = None,
) -> Agreement:
    """Krippendorff's alpha of `ratings` [rows][raters]; None is a missing one. Rows with one rating do not count.

    `labels` are the clusters of the rows. Memory and time grow with rows, times distinct values for nominal ones. The
    ranks of more than 20 distinct ordinal values are those of all rows in every resample; the value is exact.
    """
    given = [[value for value in row if value is not None] for row in ratings]
    places = [index for index, row in enumerate(given) if len(row) > 1]
    given = [given[index] for index in places]
    clusters = None if labels is None else labels[places]
    values = sorted({value for row in given for value in row})
    place = {value: index for index, value in enumerate(values)}
    if level == "ordinal" and len(values) <= _MOST_RANKED:
        columns, statistic = _ordinal([[place[value] for value in row] for row in given], len(values))
    elif level == "nominal":
        columns, statistic = _nominal([[place[value] for value in row] for row in given], len(values))
    else:
        flat = np.array([value for row in given for value in row])
        if level == "ordinal":
            ranked = np.searchsorted(values, flat)
            totals = np.bincount(ranked, minlength=len(values))
            flat = (np.cumsum(totals) - totals / 2)[ranked]
        columns, statistic = _interval(flat, np.array([len(row) for row in given], dtype=np.int64))
    return _estimate(columns, statistic, len(values), confidence, seed, clusters)


def _interval(flat: Floats, sizes: npt.NDArray[np.int64]) -> tuple[Floats, _Statistic]:
    """Columns of rows with `sizes` values of `flat`: with squared distances, all pairs are sums of x and x²."""
    if len(sizes) == 0:
        return np.zeros((0, 4)), lambda sums: sums[..., 0]
    spread = float(np.ptp(flat)) or 1.0
    flat = (flat - flat.mean()) / spread  # alpha stays; the sums lose no digits to an offset
    starts = np.cumsum(sizes) - sizes
    means = np.repeat(np.add.reduceat(flat, starts) / sizes, sizes)
    within = 2 * sizes * np.add.reduceat((flat - means) ** 2, starts) / (sizes - 1)
    columns: Floats = np.stack(
        [within, sizes.astype(np.float64), np.add.reduceat(flat, starts), np.add.reduceat(flat**2, starts)], axis=-1
    )

    def statistic(sums: Floats) -> Floats:
        observed, n, once, squared = np.moveaxis(np.asarray(sums), -1, 0)
        spread = n * squared - once**2
        spread = np.where(spread > 1e-12 * n * squared, spread, 0.0)  # equal values: what is left is rounding
        return _one_minus(observed, 2 * spread / np.maximum(n - 1, 1))

    return columns, statistic


def _nominal(rows: Sequence[Sequence[int]], distinct: int) -> tuple[Floats, _Statistic]:
    """Columns of rows of places among `distinct` values: how often each occurs, and the pairs that differ."""
    columns = np.zeros((len(rows), distinct + 1))
    for row, cells in zip(rows, columns, strict=True):
        counts = np.bincount(row, minlength=distinct)
        cells[:-1], cells[-1] = counts, (len(row) ** 2 - (counts**2).sum()) / (len(row) - 1)

    def statistic(sums: Floats) -> Floats:
        totals, observed = sums[..., :-1], sums[..., -1]
        n = totals.sum(axis=-1)
        return _one_minus(observed, (n**2 - (totals**2).sum(axis=-1)) / np.maximum(n - 1, 1))

    return columns, statistic


def _ordinal(rows: Sequence[Sequence[int]], distinct: int) -> tuple[Floats, _Statistic]:
    """Columns of rows of places among `distinct` values: each pair of values. The ranks depend on the sums."""
    columns = np.zeros((len(rows), distinct**2))
    for row, cells in zip(rows, columns, strict=True):
        counts = np.bincount(row, minlength=distinct).astype(np.float64)
        cells[:] = ((np.outer(counts, counts) - np.diag(counts)) / (len(row) - 1)).ravel()

    def statistic(sums: Floats) -> Floats:
        seen = sums.reshape(*sums.shape[:-1], distinct, distinct)
        totals = seen.sum(axis=-1)
        n = totals.sum(axis=-1)
        ranks = np.cumsum(totals, axis=-1) - totals / 2
        distance = (ranks[..., :, None] - ranks[..., None, :]) ** 2
        expected = (totals[..., :, None] * totals[..., None, :] * distance).sum(axis=(-2, -1)) / np.maximum(n - 1, 1)
        return _one_minus((seen * distance).sum(axis=(-2, -1)), expected)

    return columns, statistic


def kappa(
    pairs: Sequence[tuple[float, float]],
    points: Sequence[float],
    confidence: float,
    seed: int,
    labels: Labels | None = None,
    *,
    weighted: bool,
) -> Agreement:
    """Cohen's kappa of two raters; `points` are the verdicts of the scale in order. Weighted by squared distance.

    `labels` are the clusters of the pairs.
    """
    size, place = len(points), {value: index for index, value in enumerate(points)}
    places = np.array([(place[one], place[other]) for one, other in pairs], dtype=np.int64).reshape(-1, 2)
    if weighted:
        columns, statistic = _weighted(places.astype(np.float64))
    else:
        columns, statistic = _unweighted(places, size)
    distinct = len({value for pair in pairs for value in pair})
    return _estimate(columns, statistic, distinct, confidence, seed, labels)


def _weighted(places: Floats) -> tuple[Floats, _Statistic]:
    """Columns of pairs [n, 2]: with squared distances, all pairs of the marginals are sums of i and i²."""
    columns = np.column_stack([(places[:, 0] - places[:, 1]) ** 2, np.ones(len(places)), places, places**2])

    def statistic(sums: Floats) -> Floats:
        observed, n, one, other, one_squared, other_squared = np.moveaxis(np.asarray(sums), -1, 0)
        return _one_minus(observed, one_squared + other_squared - 2 * one * other / np.maximum(n, 1))

    return columns, statistic


def _unweighted(places: npt.NDArray[np.int64], size: int) -> tuple[Floats, _Statistic]:
    """Columns of pairs [n, 2]: how often each rater gives each verdict, and the pairs that differ."""
    columns, rows = np.zeros((len(places), 2 * size + 1)), np.arange(len(places))
    columns[rows, places[:, 0]] = columns[rows, size + places[:, 1]] = 1.0
    columns[:, -1] = places[:, 0] != places[:, 1]

    def statistic(sums: Floats) -> Floats:
        one, other = sums[..., :size], sums[..., size:-1]
        n = one.sum(axis=-1)
        return _one_minus(sums[..., -1], n - (one * other).sum(axis=-1) / np.maximum(n, 1))

    return columns, statistic


def _one_minus(observed: Floats, expected: Floats) -> Floats:
    """1 - observed / expected; 1 for a resample whose verdicts are all the same, where nothing disagrees."""
    expected = np.asarray(expected)
    return np.where(expected > 0, 1.0 - observed / np.where(expected > 0, expected, 1.0), 1.0)


def _estimate(
    columns: Floats, statistic: _Statistic, distinct: int, confidence: float, seed: int, labels: Labels | None
) -> Agreement:
    if len(columns) == 0 or distinct < 2:
        return Agreement(None, None, None, len(columns))
    units = columns if labels is None else summed(columns, labels)
    interval = bootstrap(units, statistic, confidence, seed, _RESAMPLES)
    ends = (None, None) if interval is None else (interval.low, interval.high)
    return Agreement(float(statistic(columns.sum(axis=0))), *ends, len(columns))
