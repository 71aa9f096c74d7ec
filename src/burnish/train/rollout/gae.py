"""Generalized advantage estimation (arXiv 1506.02438): advantages and returns of the tokens of completions.

δ_t = r_t + γ·V_{t+1} - V_t,  A_t = Σ_l (γλ)^l δ_{t+l},  R_t = A_t + V_t;  V is 0 after the last token
"""

import numpy as np
from numpy.typing import NDArray

from burnish.tokens.tokenised import Indices

_EPSILON = 1e-8
"""Added to a variance, as in TRL."""
Numbers = NDArray[np.float64]


def generalized_advantages(
    rewards: Numbers, values: Numbers, sequences: Indices, gamma: float, gae_lambda: float
) -> tuple[Numbers, Numbers]:
    """(A [K], R [K]) of tokens in the order of their sequences; `sequences` [K] names that of each token.

    `values` [K] are V before each token. Nothing is bootstrapped after the last token, of a truncated completion too.
    """
    _, rows, counts = np.unique(sequences, return_inverse=True, return_counts=True)
    columns = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    longest = int(counts.max(initial=0))
    r, v = np.zeros((2, len(counts), longest + 1))  # what lies beyond a completion is 0, and so is its advantage
    r[rows, columns], v[rows, columns] = rewards, values
    found, after = np.zeros_like(v), np.zeros(len(counts))
    for t in reversed(range(longest)):
        after = r[:, t] + gamma * v[:, t + 1] - v[:, t] + gamma * gae_lambda * after
        found[:, t] = after
    advantages = found[rows, columns]
    return advantages, advantages + values


def whiten(numbers: Numbers, *, shift: bool = True) -> Numbers:
    """Numbers [K] with variance 1, and with `shift` mean 0; equal ones become 0, or with `shift` off keep their mean.

    The variance has the divisor K - 1.
    """
    if len(numbers) < 2:
        return numbers * 0.0 if shift else numbers
    mean = numbers.mean()
    found = (numbers - mean) / np.sqrt(numbers.var(ddof=1) + _EPSILON)
    return found if shift else found + mean


def explained_variance(returns: Numbers, values: Numbers) -> float | None:
    """1 - Var(R - V) / Var(R): 1 for exact values, 0 for constant ones; None if all returns are equal."""
    total = float(returns.var()) if len(returns) else 0.0
    return None if total < _EPSILON else 1 - float((returns - values).var()) / total
