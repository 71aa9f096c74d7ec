"""Proximal policy optimization (arXiv 1707.06347) with a value head on the policy's own hidden states.

ρ = π(token) / π_old(token), V is the head's value before the token; A and R are values of tokens (`rollout/gae.py`)
loss of a token = -min(ρ·A, clip(ρ, 1 - clip_low, 1 + clip_high)·A) · min(π_old / π_engine, cap)
                  + value_coefficient · ½·max((V - R)², (V_old + clip(V - V_old, ±clip_value) - R)²)
The loss of a step is the mean over its tokens.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from burnish.models.value_head import HEAD
from burnish.specs.rl import PpoSpec
from burnish.tokens.tokenised import Indices, TokenisedRows
from burnish.train.batches import Batch
from burnish.train.forward import Forward
from burnish.train.objectives.objective import Scored, Separable, Whole
from burnish.train.objectives.surrogate import ADVANTAGE, OLD, REWARD, clipped, engine_ratio, kl

OLD_VALUE, RETURN = "old_values", "returns"
"""Values of tokens, beside `ADVANTAGE` and `OLD`."""


class Ppo(Separable):
    """Rows are the completions of one prompt; advantages, returns and old values belong to tokens."""

    per = "token"
    metrics = (
        *("policy_loss", "value_loss", "clip_low", "clip_high", "value_clipped", "approx_kl"),
        *("engine_ratio", "engine_ratio_clipped"),
    )
    row_values = ("weight", "reward", "value_loss")

    def __init__(self, spec: PpoSpec):
        self._low, self._high, self._clip_value = spec.clip_low, spec.clip_high, spec.clip_value
        self._temperature, self._cap = spec.generation.temperature, spec.max_engine_ratio
        self._coefficient = spec.value_coefficient

    def row_weights(self, data: TokenisedRows, rows: Indices) -> NDArray[np.float64]:
        """Learned tokens."""
        return data.learned_of(rows).sum(1).astype(np.float64)

    def score(self, forward: Forward, batch: Batch, whole: Whole) -> Scored:
        given = batch.token_values
        log_probs, values = log_probs_and_values(forward, batch, self._temperature)
        log_ratio = log_probs - given[OLD]
        ratio, advantages = log_ratio.exp(), given[ADVANTAGE]
        cap = torch.inf if self._cap is None else self._cap
        correction = engine_ratio(batch, given[OLD])
        policy = clipped(ratio, advantages, self._low, self._high)
        if self._cap is not None:
            policy = policy * correction.clamp(max=cap)
        value, is_clipped = self._value_losses(values, given[OLD_VALUE], given[RETURN])
        row_sums = _of_rows(batch, policy + self._coefficient * value)
        weights = _of_rows(batch, torch.ones_like(value))
        each = [
            policy,
            value,
            (ratio < 1 - self._low) & (advantages < 0),
            (ratio > 1 + self._high) & (advantages > 0),
            is_clipped,
            kl(-log_ratio, "k3"),  # KL(π_old ‖ π): the tokens are samples of π_old
            correction,
            correction > cap,
        ]
        rewards = batch.values[REWARD].nanmean(1)
        return Scored(
            row_sums.sum() / max(whole.divisor, 1.0),  # 0 where every completion is left out
            row_sums.detach() / weights.clamp(min=1),
            torch.stack([item.detach().float().sum() for item in each]) / max(1, sum(whole.learned)),
            torch.stack([weights, rewards, _of_rows(batch, value.detach()) / weights.clamp(min=1)]),
        )

    def _value_losses(self, values: Tensor, old: Tensor, returns: Tensor) -> tuple[Tensor, Tensor]:
        """The loss [K] of the values, and where it is the clipped one, which has no gradient."""
        error = (values - returns).square()
        if self._clip_value is None:
            return error / 2, torch.zeros_like(error)
        near = old + (values - old).clamp(-self._clip_value, self._clip_value)
        other = (near - returns).square()
        return torch.maximum(error, other) / 2, other > error


def log_probs_and_values(forward: Forward, batch: Batch, temperature: float) -> tuple[Tensor, Tensor]:
    """log π of each learned token, and V before it, both [K] float32, of one forward pass."""
    losses, states = forward.token_losses_and_states(batch, temperature)
    return -losses, getattr(forward.causal, HEAD)(states.float()).squeeze(-1)


def _of_rows(batch: Batch, numbers: Tensor) -> Tensor:
    """The sum of a number of each learned token over each row [R]."""
    return batch.sums(numbers).view(-1, batch.width).sum(1)
