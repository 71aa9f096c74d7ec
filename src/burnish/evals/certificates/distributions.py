"""The checks of a certificate that compare distributions of the next token, row by row."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from burnish.evals.certificates.check import Check, absent, held
from burnish.evals.certificates.divergence import Floats, RowDifference, differences, tail
from burnish.evals.certificates.limits import Limits
from burnish.evals.statistics.intervals import Interval, bootstrap
from burnish.models.engines.protocol import Forced

_CONFIDENCE = 0.95

DISTRIBUTIONS = ("kl", "kl tail", "top-1", "perplexity", "greedy")
Kind = Literal["held out", "training", "sampled", "golden", "answer"]
"""A row of given data that was not learned or was, a text that the parent sampled, a golden conversation, or a golden
prompt with the parent's greedy answer."""
_CALLED: dict[Kind, str] = {
    "held out": "held-out rows",
    "training": "training rows",
    "sampled": "texts that the parent sampled",
    "golden": "golden conversations",
}


@dataclass(frozen=True)
class Compared:
    """Rows of ids that both models have seen. The part of a row before `starts` is not counted."""

    rows: Sequence[Sequence[int]]
    starts: Sequence[int]
    """The first counted position of each row: 0, or that of the last token of a prompt."""
    kinds: Sequence[Kind]
    parent: Sequence[Forced]
    child: Sequence[Forced]

    @cached_property
    def differences(self) -> list[RowDifference]:
        return differences(self.parent, self.child)

    @cached_property
    def kl(self) -> Floats:
        """[positions] nats."""
        return self._counted([row.kl for row in self.differences])

    @cached_property
    def same_top(self) -> Floats:
        """[positions] 1 where both find the same token most likely; NaN where one is unknown."""
        return self._counted([row.same_top for row in self.differences])

    @cached_property
    def rest(self) -> Floats:
        """[positions] the parent's probability of the tokens that are compared as one."""
        return self._counted([row.rest for row in self.differences])

    def _counted(self, values: Sequence[Floats]) -> Floats:
        return np.concatenate([np.zeros(0), *(row[start:] for row, start in zip(values, self.starts, strict=True))])


def distribution_checks(compared: Compared, limits: Limits, seed: int) -> tuple[list[Check], dict[str, float]]:
    """The checks `kl`, `kl tail`, `top-1`, `perplexity` and `greedy`, and the measured numbers."""
    count = len(compared.kl)
    if not count:
        return [absent(name, "no tokens were compared") for name in DISTRIBUTIONS], {}
    mean, highest = float(compared.kl.mean()), tail(compared.kl)
    rest = float(compared.rest.mean())
    how = f"over {count:,} tokens"
    if rest > 0:
        how += f"; tokens with {rest:.2g} of the probability are compared as one"
    numbers = {"kl": mean, "kl_tail": highest, "rest": rest}
    checks = [
        held("kl", mean <= limits.kl, f"{mean:.2g} nats per token, {how}", f"at most {limits.kl:.2g}"),
        held(
            "kl tail",
            highest <= limits.kl_tail,
            f"{highest:.2g} nats at the 99.9th percentile" + (" (the largest)" if count < 1000 else ""),
            f"at most {limits.kl_tail:.2g}",
        ),
        _top1(compared, limits, numbers),
        _perplexity(compared, limits, seed, numbers),
        _greedy(compared, limits, numbers),
    ]
    return checks, numbers


def _top1(compared: Compared, limits: Limits, numbers: dict[str, float]) -> Check:
    known = compared.same_top[~np.isnan(compared.same_top)]
    if not len(known):
        return absent("top-1", "the most likely tokens are not visible")
    numbers["top1"] = agreement = float(known.mean())
    found = f"the same token is most likely for {_percent(agreement)} of {len(known):,} tokens"
    return held("top-1", agreement >= limits.top1, found, f"at least {_percent(limits.top1)}")


def _perplexity(compared: Compared, limits: Limits, seed: int, numbers: dict[str, float]) -> Check:
    """Whether the interval of the relative change of perplexity is within the limit: the rows are paired.

    On golden conversations for fewer than two rows of data: one row has no interval.
    """
    given: tuple[Kind, ...] = ("held out", "training", "sampled")
    enough: list[Kind] = [name for name in given if compared.kinds.count(name) > 1]
    kind: Kind = enough[0] if enough else "golden"
    rows = [
        (found.parent_nats, found.child_nats, len(row) - 1)
        for found, row, own in zip(compared.differences, compared.rows, compared.kinds, strict=True)
        if own == kind
    ]
    if len(rows) < 2:
        return absent("perplexity", "fewer than two rows were compared: their change has no interval")
    columns = np.array(rows, dtype=np.float64)
    parent, child, tokens = columns.sum(axis=0).tolist()
    change = (child - parent) / tokens
    interval = bootstrap(columns, _change, _CONFIDENCE, seed) if math.isfinite(change) else None
    interval = interval or Interval(change, change, "not finite")
    low, high = (_relative(end) for end in (interval.low, interval.high))
    numbers |= {
        "perplexity": _exp(parent / tokens),
        "child_perplexity": _exp(child / tokens),
        "perplexity_change": _relative(change),
        "perplexity_change_low": low,
        "perplexity_change_high": high,
    }
    found = f"{numbers['perplexity']:.5g} becomes {numbers['child_perplexity']:.5g}, {_relative(change):+.3%}"
    limit = f"the interval is within ±{limits.perplexity:.2%}"
    holds = -limits.perplexity <= low and high <= limits.perplexity
    on = f"all tokens of {len(rows)} {_CALLED[kind]}"
    return held("perplexity", holds, f"{found} on {on} (95 % interval {low:+.3%} to {high:+.3%})", limit)


def _change(sums: Floats) -> Floats:
    return (sums[..., 1] - sums[..., 0]) / sums[..., 2]


def _relative(nats: float) -> float:
    return math.expm1(nats) if nats < 700 else math.inf


def _exp(nats: float) -> float:
    return math.exp(nats) if nats < 700 else math.inf


def _greedy(compared: Compared, limits: Limits, numbers: dict[str, float]) -> Check:
    """Whether the child continues as the parent's greedy answers do, up to the first near-tie of each."""
    answers = [place for place, kind in enumerate(compared.kinds) if kind == "answer"]
    if not answers:
        return absent("greedy", "no greedy answers")
    answers = [place for place in answers if (compared.child[place].top[compared.starts[place] :] >= 0).any()]
    if not answers:
        return absent("greedy", "the most likely tokens are not visible")
    equal, diverged, worst = 0, 0, 0.0
    for place in answers:
        gap = _gap(compared.rows[place], compared.starts[place], compared.parent[place], compared.child[place])
        worst = max(worst, gap or 0.0)
        equal += gap is None
        diverged += gap is not None and gap > limits.near_tie
    numbers |= {"greedy_answers": len(answers), "greedy_equal": equal, "greedy_gap": worst}
    limit = f"other tokens only where they are within {limits.near_tie:.2g} nats"
    found = f"{equal} of {len(answers)} greedy answers are equal"
    if near := len(answers) - equal - diverged:
        found += f", {near} up to a near-tie"
    if diverged:
        found += f", {diverged} diverge where the parent prefers its own token by {worst:.2g} nats"
    return held("greedy", not diverged, found, limit)


def _gap(row: Sequence[int], start: int, parent: Forced, child: Forced) -> float | None:
    """Nats by which the parent prefers its token to the child's where the greedy answers diverge; None if they do not.

    Of a token that is not among the parent's most likely ones, the least that it can be.
    An unknown token (-1) counts as the same.
    """
    for position in range(start, len(row) - 1):
        own, other = row[position + 1], int(child.top[position])
        if other in (own, -1):
            continue
        known = np.flatnonzero(parent.ids[position] == other)
        other_log_prob = parent.log_probs[position, known[0]] if len(known) else np.nanmin(parent.log_probs[position])
        return max(0.0, float(parent.chosen[position] - other_log_prob))
    return None


def _percent(share: float) -> str:
    return f"{math.floor(share * 1e5) / 1e3:g} %"
