"""Paired comparison of two models on the same rows.

- Binary scores (0/1): the exact McNemar test (McNemar 1947; a binomial test of the rows where the models differ)
  and the Bonett-Price adjusted interval (2012, J. Educ. Behav. Stat. 37), which has a positive width even if the
  models never differ.
- Other scores: a sign-flip permutation test (Fisher 1935), with all flips up to 12 rows and random ones beyond,
  counted as in Phipson and Smyth (2010), and a BCa bootstrap interval.
- Several scores of one evaluation: Holm's correction (1979) of the p-values.

The verdict is `better` or `worse` if the corrected p-value is at most 1 - confidence and the interval excludes 0.
It is `too few rows` if no result on that many rows could be significant: n rows on which one model always wins have
p = 2^(1-n). Otherwise it is `not enough evidence`, which does not mean equal. Intervals are per score, not corrected.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Literal

import numpy as np

from burnish.evals.intervals import Floats, Interval, Statistic, bootstrap, is_binary, ratio

Verdict = Literal["better", "worse", "not enough evidence", "too few rows"]

FLIPS = 10_000
_EXACT_UP_TO = 12
_CHUNK = 2_000_000


@dataclass(frozen=True)
class Comparison:
    """A candidate compared with a base on the same n rows; `delta` is candidate minus base, p-values are two-sided."""

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

    @property
    def delta(self) -> float:
        return self.candidate - self.base

    @property
    def min_p(self) -> float:
        """The smallest p-value that either test can return on n rows: 2 of the 2^n sign patterns are that extreme."""
        return min(1.0, 2.0 ** (1 - self.n))


def compare_scores(name: str, base: Floats, candidate: Floats, *, confidence: float, seed: int) -> Comparison:
    """Compare the scores [n] of two models; higher is better."""
    if is_binary(base) and is_binary(candidate):
        gained, lost = int((candidate > base).sum()), int((candidate < base).sum())
        interval = bonett_price(gained, lost, base.size, confidence)
        means = float(base.mean()), float(candidate.mean())
        return Comparison(name, base.size, *means, interval, "exact McNemar", mcnemar(gained, lost))
    ones = np.ones_like(base)
    return compare_ratios(name, (base, ones), (candidate, ones), confidence=confidence, seed=seed)


def compare_ratios(
    name: str,
    base: tuple[Floats, Floats],
    candidate: tuple[Floats, Floats],
    *,
    confidence: float,
    seed: int,
    higher_is_better: bool = True,
) -> Comparison:
    """Compare ratios of sums over rows, such as bits per byte: (numerators [n], denominators [n]) of both models.

    The permutation test swaps the models of a row.
    """
    columns = np.stack([*base, *candidate], axis=1)
    measured = columns.sum(axis=0)
    return Comparison(
        name,
        len(columns),
        float(ratio(measured[:2])),
        float(ratio(measured[2:])),
        bootstrap(columns, _difference_of_ratios, confidence, seed),
        "sign-flip permutation",
        sign_flip(columns, _difference_of_ratios, seed),
        higher_is_better,
    )


def mcnemar(gained: int, lost: int) -> float:
    """Two-sided exact p-value of `gained` and `lost` rows, if both are equally likely: twice the binomial tail."""
    n = gained + lost
    logs = [math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) for k in range(min(gained, lost) + 1)]
    return min(1.0, 2 * math.fsum(math.exp(log - n * math.log(2)) for log in logs))


def bonett_price(gained: int, lost: int, n: int, confidence: float) -> Interval:
    """Interval of the difference of two paired proportions: Wald's, with one row added to each kind of disagreement."""
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    up, down = (gained + 1) / (n + 2), (lost + 1) / (n + 2)
    half = z * ((up + down - (up - down) ** 2) / (n + 2)) ** 0.5
    return Interval(max(-1.0, up - down - half), min(1.0, up - down + half), "Bonett-Price")


def sign_flip(columns: Floats, statistic: Statistic, seed: int) -> float:
    """Two-sided p-value of a paired statistic of the sums of `columns` [n, 2k]: k of the base, k of the candidate."""
    n, k = len(columns), columns.shape[1] // 2
    total = (columns[:, :k] + columns[:, k:]).sum(axis=0)
    differences = columns[:, :k] - columns[:, k:]  # [n, k]
    threshold = abs(float(statistic(columns.sum(axis=0)))) * (1 - 1e-9)
    extreme = flips = 0
    for signs in _signs(n, seed):
        moved = signs @ differences  # [flips, k]
        flipped = statistic(np.concatenate([total + moved, total - moved], axis=1) / 2)
        extreme += int((np.abs(flipped) >= threshold).sum())
        flips += len(signs)
    return extreme / flips if n <= _EXACT_UP_TO else (extreme + 1) / (flips + 1)


def _signs(n: int, seed: int) -> Iterator[Floats]:
    """Batches of sign patterns ±1 [flips, n]: all of them up to 12 rows, else random ones."""
    if n <= _EXACT_UP_TO:
        yield 1.0 - 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
        return
    random, step = np.random.default_rng(seed), max(1, _CHUNK // n)
    for first in range(0, FLIPS, step):
        yield random.integers(0, 2, size=(min(step, FLIPS - first), n)).astype(np.float64) * 2 - 1


def corrected(comparisons: Sequence[Comparison], confidence: float) -> list[Comparison]:
    """Apply Holm's correction to all comparisons of one evaluation, and set their verdicts."""
    reachable = holm([comparison.min_p for comparison in comparisons])
    done = []
    for comparison, p, least in zip(comparisons, holm([c.p_value for c in comparisons]), reachable, strict=True):
        verdict = "too few rows" if least > 1 - confidence else _verdict(comparison, is_significant=p <= 1 - confidence)
        done.append(replace(comparison, p_corrected=p, verdict=verdict))
    return done


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm-corrected p-values, in the given order; monotone in `p_values`."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    found, running = [1.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        running = max(running, min(1.0, (len(order) - rank) * p_values[i]))
        found[i] = running
    return found


def _verdict(comparison: Comparison, *, is_significant: bool) -> Verdict:
    interval = comparison.interval
    if interval is None or not is_significant or interval.low <= 0 <= interval.high:
        return "not enough evidence"
    return "better" if (interval.low > 0) == comparison.higher_is_better else "worse"


def _difference_of_ratios(sums: Floats) -> Floats:
    return sums[..., 2] / sums[..., 3] - sums[..., 0] / sums[..., 1]
