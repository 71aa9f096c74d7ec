"""Is one model better than another? Both answered the same rows, so their scores are compared pairwise.

- Right or wrong (0/1): the exact McNemar test (McNemar 1947; exact as a binomial test of the rows on which the
  two differ) and Bonett and Price's adjusted interval (2012, J. Educ. Behav. Stat. 37), which keeps its width
  when the models never differ.
- Anything else: a sign-flip permutation test (Fisher 1935), all flips up to 12 rows and random ones beyond,
  counted as in Phipson and Smyth (2010), and a BCa bootstrap interval.
- Several scores of one evaluation: Holm's correction (1979) of the p-values.

`better` or `worse` is said only when the corrected p-value is at most 1 - confidence and the interval leaves
0 out. Where so few rows are compared that no answers of theirs could ever lead there, it is "too few rows": n rows
on which one model always wins give p = 2^(1-n). All else is "not enough evidence", which is not the same as "equal".
Intervals are per score, not corrected.
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
    """A candidate against a base on the same n rows; `delta` is candidate minus base, the p-values are two-sided."""

    name: str
    n: int
    base: float
    candidate: float
    interval: Interval | None
    """Of delta; None for a single row."""
    test: str
    p_value: float
    higher_is_better: bool = True
    p_corrected: float = 1.0
    verdict: Verdict = "not enough evidence"

    @property
    def delta(self) -> float:
        return self.candidate - self.base

    @property
    def least_p(self) -> float:
        """The smallest p-value that either test can give on n rows: two of the 2^n ways to sign them are as far out."""
        return min(1.0, 2.0 ** (1 - self.n))


def compare_scores(name: str, base: Floats, candidate: Floats, *, confidence: float, seed: int) -> Comparison:
    """Scores [n] of two models, row by row; more is better."""
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
    """Ratios of sums over rows, such as bits per byte: (numerators [n], denominators [n]) of both models.

    What the permutation test flips is which model a row's numbers belong to.
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
    """Two-sided exact p-value of `gained` and `lost` rows under "either is as likely": a fair coin's tail, doubled."""
    n = gained + lost
    if n == 0:
        return 1.0
    logs = [math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) for k in range(min(gained, lost) + 1)]
    return min(1.0, 2 * math.fsum(math.exp(log - n * math.log(2)) for log in logs))


def bonett_price(gained: int, lost: int, n: int, confidence: float) -> Interval:
    """Interval of the difference of two paired shares: Wald's, with one row added to each kind of disagreement."""
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    up, down = (gained + 1) / (n + 2), (lost + 1) / (n + 2)
    half = z * ((up + down - (up - down) ** 2) / (n + 2)) ** 0.5
    return Interval(max(-1.0, up - down - half), min(1.0, up - down + half), "Bonett-Price")


def sign_flip(columns: Floats, statistic: Statistic, seed: int) -> float:
    """Two-sided p-value of a paired statistic of sums of `columns` [n, 2k]: base's k columns, then candidate's."""
    n, k = len(columns), columns.shape[1] // 2
    total = (columns[:, :k] + columns[:, k:]).sum(axis=0)
    apart = columns[:, :k] - columns[:, k:]  # [n, k]
    threshold = abs(float(statistic(columns.sum(axis=0)))) * (1 - 1e-9)
    as_far = flips = 0
    for signs in _signs(n, seed):
        moved = signs @ apart  # [flips, k]
        flipped = statistic(np.concatenate([total + moved, total - moved], axis=1) / 2)
        as_far += int((np.abs(flipped) >= threshold).sum())
        flips += len(signs)
    return as_far / flips if n <= _EXACT_UP_TO else (as_far + 1) / (flips + 1)


def _signs(n: int, seed: int) -> Iterator[Floats]:
    """Rows of ±1 [flips, n]: every one there is up to 12 rows, else random ones, a few at a time."""
    if n <= _EXACT_UP_TO:
        yield 1.0 - 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
        return
    random, step = np.random.default_rng(seed), max(1, _CHUNK // n)
    for first in range(0, FLIPS, step):
        yield random.integers(0, 2, size=(min(step, FLIPS - first), n)).astype(np.float64) * 2 - 1


def corrected(comparisons: Sequence[Comparison], confidence: float) -> list[Comparison]:
    """Holm's correction over all comparisons of one evaluation, and the verdicts that follow from it."""
    reachable = holm([comparison.least_p for comparison in comparisons])
    done = []
    for comparison, p, least in zip(comparisons, holm([c.p_value for c in comparisons]), reachable, strict=True):
        verdict = "too few rows" if least > 1 - confidence else _verdict(comparison, is_significant=p <= 1 - confidence)
        done.append(replace(comparison, p_corrected=p, verdict=verdict))
    return done


def holm(p_values: Sequence[float]) -> list[float]:
    """The corrected p-values, in their order; none falls when any of `p_values` rises."""
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
