"""Direct preference optimization (arXiv 2305.18290), with its variants.

r = log π(y|x) - log π_ref(y|x),  Δ = r_chosen - r_rejected, both per token if length-normalised or ipo
loss = f(Δ, β) + sft_weight · cross-entropy of the chosen answers, per token of the step
The rewards are β·r, whatever f is.
"""

import torch

from burnish.specs.preferences import DpoSpec
from burnish.train.batches import Batch
from burnish.train.forward import Forward
from burnish.train.objectives.objective import Scored, Separable, Whole
from burnish.train.objectives.pairs import (
    CHOSEN,
    METRICS,
    REJECTED,
    ROW_VALUES,
    chosen_cross_entropy,
    losses,
    metrics,
    pairs_of,
    reference_of,
)


class Dpo(Separable):
    """A loss of pairs; the reference's log-probabilities are a value of the rows, or computed without the adapter."""

    per = "pair"
    metrics = (*METRICS, "kl")
    """`kl` is the mean of log π - log π_ref per token of both answers."""
    row_values = ROW_VALUES

    def __init__(self, spec: DpoSpec):
        self.beta, self._sft_weight = spec.beta, spec.sft_weight
        self._loss = losses(spec.loss, spec.label_smoothing)
        self._per_token = spec.length_normalised or spec.loss == "ipo"
        self._each_step = spec.reference_log_probs == "each_step"

    def score(self, forward: Forward, batch: Batch, whole: Whole) -> Scored:
        reference = reference_of(forward, batch, self._each_step)
        pairs = pairs_of(forward, batch)
        ratios = pairs.log_probs - reference  # [R, 2]
        scores = ratios / pairs.lengths if self._per_token else ratios
        losses = self._loss(scores[:, CHOSEN] - scores[:, REJECTED], self.beta)
        if self._sft_weight:
            losses = losses + self._sft_weight * chosen_cross_entropy(pairs, whole)
        rewards = self.beta * ratios.detach()
        divergence = ratios.detach().sum() / sum(whole.learned)
        return Scored(
            losses.sum() / whole.divisor,
            losses.detach(),
            torch.cat([metrics(rewards, pairs.log_probs, whole.divisor), divergence[None]]),
            (rewards[:, CHOSEN] - rewards[:, REJECTED])[None],
        )
