"""Advantages of completions: how much better each one is than the others of its prompt."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

_EPSILON = 1e-4
"""Added to a standard deviation, as in TRL."""


@dataclass(frozen=True)
class Advantages:
    """Of a rollout of P prompts with G completions each."""

    values: NDArray[np.float32]  # [P, G]; 0 for a completion without a reward
    equal: NDArray[np.bool_]  # [P], groups whose rewards do not differ


def group_advantages(
    rewards: NDArray[np.float64],
    baseline: Literal["group_mean", "leave_one_out"],
    scale: Literal["group", "batch", "none"],
) -> Advantages:
    """Advantages of `rewards` [P, G]; NaN marks a completion without one, which takes no part.

    A = (r - b) / (s + 1e-4): b is the mean of the group (arXiv 2402.03300), or of its other completions (RLOO, arXiv
    2402.14740); s is the sample standard deviation of the group or of the rollout, or the divisor is 1 (arXiv
    2503.20783).
    """
    known = ~np.isnan(rewards)
    count = known.sum(1, keepdims=True)  # [P, 1]
    filled = np.where(known, rewards, 0.0)
    total = filled.sum(1, keepdims=True)
    mean = total / np.maximum(count, 1)
    base = mean if baseline == "group_mean" else (total - filled) / np.maximum(count - 1, 1)
    spread = np.where(known, filled - mean, 0.0)
    deviation = np.sqrt((spread**2).sum(1, keepdims=True) / np.maximum(count - 1, 1))  # [P, 1]
    lowest = np.where(known, rewards, np.inf).min(1)
    highest = np.where(known, rewards, -np.inf).max(1)
    values = filled - base
    if scale == "group":
        values = values / (deviation + _EPSILON)
    elif scale == "batch":
        values = values / ((float(rewards[known].std(ddof=1)) if known.sum() > 1 else 0.0) + _EPSILON)
    takes_part = known & (count > 1)  # of one alone nothing can be said
    return Advantages(np.where(takes_part, values, 0.0).astype(np.float32), (highest <= lowest) | (count[:, 0] < 2))
