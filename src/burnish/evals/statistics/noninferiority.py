"""Non-inferiority: whether the candidate is worse than the base by less than a margin.

The claim is one-sided, at half of the error: the same as that the interval lies on the right side of the margin
(CONSORT 2012, JAMA 308). P-values are doubled, so that one level decides all claims of a comparison.

- Binary scores: the score test of Tango (1998, Stat. Med. 17).
- Other scores: the sign-flip test of the differences, shifted by the margin. It takes them for symmetric, which rare
  losses are not: where most rows are equal, no loss may appear among n rows. So the p-value is also at least the
  probability that enough of the largest losses to bring the interval to the margin stay unseen (as in the rule of
  three; Hanley and Lippman-Hand 1983, JAMA 249).
"""

import numpy as np

from burnish.evals.statistics.intervals import NORMAL, Floats, Interval, Statistic
from burnish.evals.statistics.permutation import sign_flip


def tango(gained: int, lost: int, n: int, margin: float) -> float:
    """The doubled one-sided p-value that the proportion falls by `margin` or more, of `n` paired rows."""
    delta = -margin
    a, b, c = 2 * n, -gained - lost + (2 * n - gained + lost) * delta, -lost * delta * (1 - delta)
    discordance = ((b * b - 4 * a * c) ** 0.5 - b) / (2 * a)  # of losses, under the hypothesis
    variance = n * (2 * discordance + delta * (1 - delta))
    excess = gained - lost - n * delta
    if variance <= 0:
        return 0.0 if excess > 0 else 1.0
    return min(1.0, 2 * NORMAL.cdf(-excess / variance**0.5))


def shifted_sign_flip(
    columns: Floats, statistic: Statistic, margin: float, seed: int, *, higher_is_better: bool
) -> float:
    """The doubled one-sided p-value that a ratio of the candidate is worse by `margin` or more.

    `columns` [n, 4] are numerators and denominators of the base and of the candidate.
    """
    sign = 1.0 if higher_is_better else -1.0
    moved = columns.copy()
    moved[:, 2] += sign * margin * moved[:, 3]
    return min(1.0, 2 * sign_flip(moved, statistic, seed, "above" if higher_is_better else "below"))


def unseen_losses(low: float, margin: float, units: int, largest: float) -> float:
    """The doubled probability that rows or clusters with the largest loss stay unseen among `units`.

    Their share is the one that moves the lower end of the interval, `low`, to a loss of `margin`.
    """
    share = min(max((low + margin) / largest, 0.0), 1.0)
    return min(1.0, 2 * (1 - share) ** units)


def is_within(interval: Interval, margin: float, *, higher_is_better: bool) -> bool:
    """Whether an interval of candidate minus base excludes a loss of `margin`."""
    return interval.low > -margin if higher_is_better else bool(np.less(interval.high, margin))
