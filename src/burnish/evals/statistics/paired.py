"""Paired comparison of two models on the same rows.

- Binary scores (0/1): the exact McNemar test (McNemar 1947; a binomial test of the rows where the models differ)
  and the Bonett-Price adjusted interval (2012, J. Educ. Behav. Stat. 37), which has a positive width even if the
  models never differ.
- Other scores, and clustered rows: a sign-flip permutation test (`permutation`) and a BCa bootstrap interval.
- A claim with a margin: the tests of `noninferiority`, with the same intervals.

The verdicts of all comparisons of one question are set together, by `holm.corrected`.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from burnish.evals.statistics.clusters import Labels, summed
from burnish.evals.statistics.intervals import NORMAL, Floats, Interval, bootstrap, is_binary, ratio
from burnish.evals.statistics.noninferiority import shifted_sign_flip, tango, unseen_losses
from burnish.evals.statistics.permutation import sign_flip

Verdict = Literal["better", "worse", "not worse", "not enough evidence", "too few rows", "too few clusters"]


@dataclass(frozen=True)
class Comparison:
    """A candidate compared with a base on the same n rows; `delta` is candidate minus base.

    P-values are two-sided, or, of a claim with a margin, twice a one-sided one.
    """

    name: str
    n: int
    base: float
    candidate: float
    interval: Interval | None
    """The interval of delta; None for a single row."""
    test: str
    p_value: float
    higher_is_better: bool = True
    p_corrected: float = 1.0
    verdict: Verdict = "not enough evidence"
    margin: float | None = None
    """The claim is that the candidate is worse by less than this; None: that it is better, or worse."""
    clusters: int | None = None
    """The number of clusters; None: the rows are independent."""
    standard_error: float = math.nan
    """Of delta, as measured."""

    @property
    def delta(self) -> float:
        return self.candidate - self.base

    @property
    def claim(self) -> str:
        return "superiority" if self.margin is None else "non-inferiority"

    @property
    def min_p(self) -> float:
        """The smallest p-value that a test can return on n rows: 2 of the 2^n sign patterns are that extreme."""
        return min(1.0, 2.0 ** (1 - (self.n if self.clusters is None else self.clusters)))


def compare_scores(
    name: str,
    base: Floats,
    candidate: Floats,
    *,
    confidence: float,
    seed: int,
    margin: float | None = None,
    clusters: Labels | None = None,
) -> Comparison:
    """Compare the scores [n] of two models; higher is better.

    `margin` makes it a claim of non-inferiority; `clusters` is the cluster of each row.
    """
    ones = np.ones_like(base)
    pair = (base, ones), (candidate, ones)
    if clusters is not None or not (is_binary(base) and is_binary(candidate)):
        largest = max(1.0, base.max(), candidate.max()) - min(0.0, base.min(), candidate.min())
        settings = {"confidence": confidence, "seed": seed, "margin": margin, "clusters": clusters}
        return compare_ratios(name, *pair, largest_loss=float(largest), **settings)
    gained, lost, n = int((candidate > base).sum()), int((candidate < base).sum()), base.size
    return Comparison(
        name,
        n,
        float(base.mean()),
        float(candidate.mean()),
        bonett_price(gained, lost, n, confidence),
        "exact McNemar" if margin is None else "Tango's score test",
        mcnemar(gained, lost) if margin is None else tango(gained, lost, n, margin),
        margin=margin,
        standard_error=_standard_error(np.stack([base, ones, candidate, ones], axis=1)),
    )


def compare_ratios(
    name: str,
    base: tuple[Floats, Floats],
    candidate: tuple[Floats, Floats],
    *,
    confidence: float,
    seed: int,
    higher_is_better: bool = True,
    margin: float | None = None,
    clusters: Labels | None = None,
    largest_loss: float | None = None,
) -> Comparison:
    """Compare ratios of sums over rows, such as bits per byte: (numerators [n], denominators [n]) of both models.

    The permutation test swaps the models of a row, or of a cluster. `largest_loss` is that of a row of a bounded score;
    without it, losses that no row shows are not considered.
    """
    rows = np.stack([*base, *candidate], axis=1)
    columns = rows if clusters is None else summed(rows, clusters)
    measured = rows.sum(axis=0)
    interval = bootstrap(columns, _difference_of_ratios, confidence, seed)
    if margin is None:
        p_value = sign_flip(columns, _difference_of_ratios, seed)
    else:
        p_value = shifted_sign_flip(columns, _difference_of_ratios, margin, seed, higher_is_better=higher_is_better)
        if largest_loss is not None and interval is not None:
            p_value = max(p_value, unseen_losses(interval.low, margin, len(columns), largest_loss))
    return Comparison(
        name,
        len(rows),
        float(ratio(measured[:2])),
        float(ratio(measured[2:])),
        interval,
        f"{'' if clusters is None else 'clustered '}sign-flip permutation",
        p_value,
        higher_is_better,
        margin=margin,
        clusters=None if clusters is None else len(columns),
        standard_error=_standard_error(columns),
    )


def mcnemar(gained: int, lost: int) -> float:
    """Two-sided exact p-value of `gained` and `lost` rows, if both are equally likely: twice the binomial tail."""
    n = gained + lost
    logs = [math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) for k in range(min(gained, lost) + 1)]
    return min(1.0, 2 * math.fsum(math.exp(log - n * math.log(2)) for log in logs))


def bonett_price(gained: int, lost: int, n: int, confidence: float) -> Interval:
    """Interval of the difference of two paired proportions: Wald's, with one row added to each kind of disagreement."""
    z = NORMAL.inv_cdf(0.5 + confidence / 2)
    up, down = (gained + 1) / (n + 2), (lost + 1) / (n + 2)
    half = z * ((up + down - (up - down) ** 2) / (n + 2)) ** 0.5
    return Interval(max(-1.0, up - down - half), min(1.0, up - down + half), "Bonett-Price")


def _standard_error(columns: Floats) -> float:
    """Of the difference of ratios, by linearisation: `columns` [n, 4] of rows or clusters."""
    n = len(columns)
    if n < 2 or not np.isfinite(columns).all():
        return math.nan
    below = columns[:, [1, 3]].mean(axis=0)
    ratios = columns[:, [0, 2]].mean(axis=0) / below
    influence = (columns[:, [0, 2]] - ratios * columns[:, [1, 3]]) / below  # [n, 2]
    return float((influence[:, 1] - influence[:, 0]).std(ddof=1) / n**0.5)


def _difference_of_ratios(sums: Floats) -> Floats:
    return sums[..., 2] / sums[..., 3] - sums[..., 0] / sums[..., 1]
