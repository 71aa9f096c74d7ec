"""Holm's correction (1979) over all comparisons of one question, and the verdicts.

The verdict is `better` or `worse` if the corrected p-value is at most 1 - confidence and the interval excludes 0. It is
`not worse`, of a claim with a margin, if the interval excludes the margin. It is `too few rows` (or `too few clusters`)
if no result on that many could be significant: n rows on which one model always wins have p = 2^(1-n). Otherwise it is
`not enough evidence`, which does not mean equal; also for a difference or an interval that is NaN or infinite.
Intervals are per score, not corrected.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from burnish.evals.statistics.noninferiority import is_within
from burnish.evals.statistics.paired import Comparison, Verdict


def corrected(comparisons: Sequence[Comparison], confidence: float) -> list[Comparison]:
    """Apply Holm's correction to all comparisons of one question (scores × candidates × claims); set the verdicts."""
    reachable = holm([comparison.min_p for comparison in comparisons])
    done = []
    for comparison, p, least in zip(comparisons, holm([c.p_value for c in comparisons]), reachable, strict=True):
        if least > 1 - confidence:
            verdict: Verdict = "too few rows" if comparison.clusters is None else "too few clusters"
        else:
            verdict = _verdict(comparison, is_significant=p <= 1 - confidence)
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
    interval, higher = comparison.interval, comparison.higher_is_better
    if interval is None or not is_significant:
        return "not enough evidence"
    if not all(map(math.isfinite, (comparison.delta, interval.low, interval.high))):
        return "not enough evidence"
    if comparison.margin is not None:
        is_shown = is_within(interval, comparison.margin, higher_is_better=higher)
        return "not worse" if is_shown else "not enough evidence"
    if interval.low <= 0 <= interval.high:
        return "not enough evidence"
    return "better" if (interval.low > 0) == higher else "worse"
