"""Group relative policy optimization (arXiv 2402.03300), with its variants.

ρ = π(token) / π_old(token), or its geometric mean over a completion (GSPO, arXiv 2507.18071)
loss of a token = -min(ρ·A, clip(ρ, 1 - clip_low, 1 + clip_high)·A) · min(π_old / π_engine, cap) + β·w·KL
w = π(token) / π_old(token) with unbiased_kl, but for k2; otherwise 1
token       Σ over tokens / tokens of the step                            DAPO, arXiv 2503.14476
sequence    mean over completions of the mean over their tokens           GRPO
constant    Σ over tokens / (completions · max_new_tokens)                Dr. GRPO, arXiv 2503.20783
"""

from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from burnish.specs.rl import GrpoSpec
from burnish.tokens.tokenised import Indices, TokenisedRows
from burnish.train.batches import Batch
from burnish.train.forward import Forward
from burnish.train.objectives.objective import Scored, Separable, Whole
from burnish.train.objectives.surrogate import ADVANTAGE, OLD, REFERENCE, REWARD, clipped, engine_ratio, kl


class Grpo(Separable):
    """Rows are the completions of one prompt. Without `OLD`, a rollout is used once, and π_old is π itself."""

    per = "token"
    metrics = ("clip_low", "clip_high", "kl", "engine_ratio", "engine_ratio_clipped")
    row_values = ("weight", "reward")

    def __init__(self, spec: GrpoSpec):
        self._low, self._high, self._importance = spec.clip_low, spec.clip_high, spec.importance
        self._temperature, self._cap = spec.generation.temperature, spec.max_engine_ratio
        self._normalisation, self._longest = spec.normalisation, spec.generation.max_new_tokens
        self._kl = spec.kl_coefficient if spec.kl_in == "loss" else 0.0
        self._unbiased = spec.unbiased_kl
        self._estimator: Literal["k1", "k2", "k3"] = spec.kl_estimator

    def row_weights(self, data: TokenisedRows, rows: Indices) -> NDArray[np.float64]:
        """Learned tokens, completions, or the most tokens of the completions, by the normalisation."""
        return self._weights(data.learned_of(rows).sum(1).astype(np.float64), data.width)

    def score(self, forward: Forward, batch: Batch, whole: Whole) -> Scored:
        log_probs = -forward.token_losses(batch, self._temperature)  # [K]
        old = batch.token_values.get(OLD, log_probs.detach())
        log_ratio = log_probs - old
        if self._importance == "sequence":
            log_ratio = (batch.sums(log_ratio) / batch.counts.clamp(min=1))[batch.sequences]
        ratio = log_ratio.exp()
        token_ratio = (log_probs - old).exp()
        advantages = batch.values[ADVANTAGE].flatten()[batch.sequences]
        losses = clipped(ratio, advantages, self._low, self._high)
        correction = engine_ratio(batch, old)
        if self._cap is not None:
            losses = losses * correction.clamp(max=self._cap)
        divergence = torch.zeros_like(losses)
        if REFERENCE in batch.token_values:
            divergence = kl(log_probs - batch.token_values[REFERENCE], self._estimator)
            if self._kl:
                losses = losses + self._kl * kl_loss(divergence, token_ratio, self._estimator, self._unbiased)
        sums = batch.sums(losses)  # [S]
        if self._normalisation == "sequence":
            sums = sums / batch.counts.clamp(min=1)
        row_sums = sums.view(-1, batch.width).sum(1)
        weights = self._weights(batch.counts.view(-1, batch.width).sum(1), batch.width)
        cap = torch.inf if self._cap is None else self._cap
        each = [
            (ratio < 1 - self._low) & (advantages < 0),
            (ratio > 1 + self._high) & (advantages > 0),
            divergence,
            correction,
            correction > cap,
        ]
        return Scored(
            row_sums.sum() / max(whole.divisor, 1.0),  # 0 where every completion is left out
            row_sums.detach() / weights.clamp(min=1),
            torch.stack([value.detach().float().sum() for value in each]) / max(1, sum(whole.learned)),
            torch.stack([weights, batch.values[REWARD].nanmean(1)]),
        )

    def _weights(self, learned: Any, width: int) -> Any:
        """The weights of rows with so many learned tokens: an array or a tensor, as `learned` [R] is."""
        if self._normalisation == "token":
            return learned
        return 0 * learned + width * (1 if self._normalisation == "sequence" else self._longest)


def kl_loss(divergence: Tensor, token_ratio: Tensor, estimator: Literal["k1", "k2", "k3"], unbiased: bool) -> Tensor:
    """The loss [K] of the estimates of `kl`; with `unbiased`, its gradient is on average that of KL(π ‖ π_ref).

    k2 has this gradient on samples of π by itself: the ratio of π to π_old would add a second term.
    """
    return divergence * token_ratio if unbiased and estimator != "k2" else divergence
