"""How far two models are apart on the same tokens, from their teacher-forced log-probabilities.

Both distributions of a position are compared over the same categories: the parent's most likely tokens, as far as both
engines give them, and all other tokens as one. By the data-processing inequality that KL is at most the true one; it is
equal where every token of both is a category. With δ = ln p - ln q of a category,

    KL = Σ p·(exp(-δ) - 1 + δ)

which equals Σ p·δ for distributions that sum to 1, has no negative terms, and so no rounding to cancel.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from burnish.models.engines.protocol import Forced

Floats = NDArray[np.float64]
_LEAST_REST = 1e-7
"""Probability of the other tokens below which it is the rounding of float32."""


@dataclass(frozen=True)
class RowDifference:
    """What was found on one row of T tokens."""

    kl: Floats
    """[T - 1] nats."""
    rest: Floats
    """[T - 1] the parent's probability of all tokens that are one category."""
    same_top: Floats
    """[T - 1] 1 where both find the same token most likely; NaN where one is unknown."""
    margin: Floats
    """[T - 1] nats between the parent's two most likely tokens."""
    parent_nats: float
    """Σ -ln p of the tokens of the row."""
    child_nats: float
    """The same under the child."""


def differences(parent: Iterable[Forced], child: Iterable[Forced]) -> list[RowDifference]:
    """Compare the rows of two models; the child's `ids` are those of the parent."""
    return [_difference(ours, theirs) for ours, theirs in zip(parent, child, strict=True)]


def _difference(parent: Forced, child: Forced) -> RowDifference:
    p_log, q_log = parent.log_probs.astype(np.float64), child.log_probs.astype(np.float64)
    is_known = np.isfinite(p_log) & ~np.isnan(q_log) & (p_log > -np.inf)
    p = np.where(is_known, np.exp(np.where(is_known, p_log, 0.0)), 0.0)
    q = np.where(is_known, np.exp(np.where(is_known, q_log, 0.0)), 0.0)
    kl = _terms(p, q).sum(axis=1)
    is_over_all = 0 < parent.vocabulary <= p_log.shape[1] and child.vocabulary == parent.vocabulary
    is_whole = is_known.all(axis=1) & is_over_all
    p_rest, q_rest = (np.where(is_whole, 0.0, np.clip(1 - part.sum(axis=1), 0.0, 1.0)) for part in (p, q))
    p_other, q_other = (np.maximum(rest, _LEAST_REST) for rest in (p_rest, q_rest))
    kl = kl + np.where(is_whole, 0.0, _terms(p_other, q_other))
    return RowDifference(
        kl=kl,
        rest=p_rest,
        same_top=np.where((parent.top < 0) | (child.top < 0), np.nan, parent.top == child.top),
        margin=_margin(parent),
        parent_nats=float(-parent.chosen.astype(np.float64).sum()),
        child_nats=float(-child.chosen.astype(np.float64).sum()),
    )


def _terms(p: Floats, q: Floats) -> Floats:
    """p·(q/p - 1 - ln(q/p)), 0 where p is 0; infinite where only q is."""
    ratio = np.divide(q, p, out=np.ones_like(p), where=p > 0)
    with np.errstate(divide="ignore"):
        return p * np.where(p > 0, ratio - 1 - np.log(ratio), 0.0) + np.where(p > 0, 0.0, q)


def _margin(forced: Forced) -> Floats:
    if forced.log_probs.shape[1] < 2:
        return np.full(len(forced.top), np.inf)
    ordered = -np.sort(-np.nan_to_num(forced.log_probs.astype(np.float64), nan=-np.inf), axis=1)
    return ordered[:, 0] - ordered[:, 1]


def tail(values: Sequence[float] | Floats) -> float:
    """The 99.9th percentile; of fewer than 1,000 values the largest."""
    return float(np.quantile(np.asarray(values), 0.999, method="higher")) if len(values) else 0.0
