"""Odds ratio preference optimization (arXiv 2403.07691).

ℓ = log π(y|x) per token,  log odds = ℓ - log(1 - exp ℓ)
loss = cross-entropy of the chosen answers per token of the step - β · log σ(log odds_chosen - log odds_rejected)
TRL adds the tokens of the prompt to the cross-entropy; here they are not learned. The rewards are β·ℓ, as in TRL.
"""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from burnish.specs.preferences import OrpoSpec
from burnish.train.batches import Batch
from burnish.train.forward import Forward
from burnish.train.objectives.objective import Scored, Separable, Whole, shares
from burnish.train.objectives.pairs import (
    CHOSEN,
    METRICS,
    REJECTED,
    ROW_VALUES,
    chosen_cross_entropy,
    metrics,
    pairs_of,
    preferences,
)

_CERTAIN = -1e-6
"""The largest log-probability per token: at 0 the odds are infinite."""


class Orpo(Separable):
    """A loss of pairs without a reference."""

    per = "pair"
    metrics = (*METRICS, "sft_loss", "log_odds_ratio")
    row_values = ROW_VALUES

    def __init__(self, spec: OrpoSpec):
        self.beta = spec.beta

    def score(self, forward: Forward, batch: Batch, whole: Whole) -> Scored:
        pairs = pairs_of(forward, batch)
        log_odds = _log_odds(pairs.per_token)
        ratio = log_odds[:, CHOSEN] - log_odds[:, REJECTED]
        cross_entropy = chosen_cross_entropy(pairs, whole)
        losses = cross_entropy - self.beta * logsigmoid(ratio)
        rewards = self.beta * pairs.per_token.detach()
        return Scored(
            losses.sum() / whole.divisor,
            losses.detach(),
            torch.cat(
                [
                    metrics(rewards, pairs.log_probs, whole.divisor),
                    shares([cross_entropy, ratio], whole.divisor),
                ]
            ),
            preferences(rewards)[1][None],
        )


def _log_odds(log_probs: Tensor) -> Tensor:
    """log(p / (1 - p)) of p = exp(log_probs), exact near p = 0 and p = 1."""
    log_probs = log_probs.clamp(max=_CERTAIN)
    others = torch.where(log_probs > -0.6931472, (-torch.expm1(log_probs)).log(), torch.log1p(-log_probs.exp()))
    return log_probs - others
