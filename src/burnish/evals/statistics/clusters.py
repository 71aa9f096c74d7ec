"""Rows that belong together, such as those of one document: they are flipped and resampled as one.

Rows of a cluster are alike, so that n rows say less than n independent ones. Tests and intervals work on the sums of
the clusters (Cameron, Gelbach and Miller 2008, Rev. Econ. Stat. 90). Both need many clusters: see FEW.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.evals.statistics.intervals import Floats, Interval, bootstrap, is_binary, mean_interval, ratio, wilson

FEW = 20
"""With fewer clusters, intervals of the bootstrap are too narrow."""
Labels = NDArray[np.int64]
"""The cluster of each row, from 0."""


def labels_of(names: Sequence[Any]) -> Labels | None:
    """The clusters of rows by their names; a row without one (None) is a cluster of its own.

    None if every row is one: the rows are independent.
    """
    keys = [("row", index) if name is None else ("name", str(name)) for index, name in enumerate(names)]
    known = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return None if len(known) == len(keys) else np.array([known[key] for key in keys], dtype=np.int64)


def summed(columns: Floats, labels: Labels) -> Floats:
    """The sums of `columns` [n, k] by cluster [clusters, k]; labels that do not occur have no row."""
    found, position = np.unique(labels, return_inverse=True)
    sums = np.zeros((len(found), columns.shape[1]))
    np.add.at(sums, position, columns)
    return sums


def interval_of_mean(values: Floats, labels: Labels | None, confidence: float, seed: int) -> Interval | None:
    """Interval of the mean of values [n] of rows, or of rows in clusters; None for too few.

    Right or wrong rows that are all equal are as many as the clusters: resamples of them would all be equal.
    """
    if labels is None:
        return mean_interval(values, confidence, seed)
    if values.size and is_binary(values) and values.min() == values.max():
        count = len(np.unique(labels))
        return wilson(int(values[0]) * count, count, confidence)
    return interval_of_ratio(np.stack([values, np.ones_like(values)], axis=1), labels, confidence, seed)


def interval_of_ratio(columns: Floats, labels: Labels | None, confidence: float, seed: int) -> Interval | None:
    """Interval of Σ first column / Σ second column of rows [n, 2]; None for fewer than two rows or clusters."""
    return bootstrap(columns if labels is None else summed(columns, labels), ratio, confidence, seed)


def few_clusters(count: int | None) -> str:
    """A warning for few clusters; "" for enough, and for rows without clusters."""
    if count is None or count >= FEW:
        return ""
    return f"{count} clusters are few: intervals may be too narrow below {FEW}"


def effective_rows(labels: Labels) -> float:
    """How many independent rows say as much as these if the rows of a cluster are equal: (Σ m)² / Σ m²."""
    sizes = np.bincount(labels).astype(np.float64)
    return float(sizes.sum() ** 2 / (sizes**2).sum())
