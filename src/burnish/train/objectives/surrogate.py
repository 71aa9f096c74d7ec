"""Shared by the objectives on rollouts: the values of their rows, the clipped surrogate, and estimates of KL."""

from typing import Literal

import torch
from torch import Tensor

from burnish.train.batches import Batch

ADVANTAGE, REWARD, PENALISED = "advantage", "reward", "reward_with_kl"
"""Values of rows, [rows, width]; with a value head, the advantage is a value of tokens."""
OLD, ENGINE, REFERENCE = "old_log_probs", "engine_log_probs", "reference_log_probs"
"""Values of tokens: log-probabilities before the first step on a rollout, in generation, and of the reference."""


def clipped(ratio: Tensor, advantages: Tensor, low: float, high: float) -> Tensor:
    """The clipped surrogate loss (arXiv 1707.06347, equation 7) of each token [K]."""
    return -torch.minimum(ratio * advantages, ratio.clamp(1 - low, 1 + high) * advantages)


def kl(difference: Tensor, estimator: Literal["k1", "k2", "k3"]) -> Tensor:
    """Estimates [K] of KL(π ‖ π_ref) from log π - log π_ref of sampled tokens (Schulman 2020)."""
    if estimator == "k1":
        return difference
    if estimator == "k2":
        return difference.square() / 2
    return (-difference).exp() + difference - 1


def engine_ratio(batch: Batch, old: Tensor) -> Tensor:
    """π_old / π_engine of each token [K], which corrects for what was really sampled from; 1 where it is unknown."""
    if ENGINE not in batch.token_values:
        return old.new_ones(old.shape)
    return (old - batch.token_values[ENGINE]).exp()
