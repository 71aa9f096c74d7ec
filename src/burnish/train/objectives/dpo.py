"""Direct preference optimization (arXiv 2305.18290), with its variants.

r = log π(y|x) - log π_ref(y|x),  Δ = r_chosen - r_rejected, both per token if length-normalised
sigmoid    -(1-ε)·log σ(βΔ) - ε·log σ(-βΔ)                    ε = label_smoothing (conservative DPO)
robust     [-(1-ε)·log σ(βΔ) + ε·log σ(-βΔ)] / (1-2ε)         arXiv 2403.00409
hinge      max(0, 1 - βΔ)                                      arXiv 2305.10425
ipo        (Δ - 1/2β)², Δ per token                            arXiv 2310.12036
+ sft_weight · cross-entropy of the chosen answers, per token of the step
"""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from burnish.specs.preferences import DpoSpec
from burnish.train.batches import Batch
from burnish.train.forward import Forward
from burnish.train.objectives.objective import Scored, Separable, Whole
from burnish.train.objectives.pairs import CHOSEN, METRICS, REJECTED, ROW_VALUES, Pairs, metrics, pairs_of

REFERENCE = "reference"
"""The value of rows that holds the reference's log-probabilities, [rows, 2]."""


class Dpo(Separable):
    """A loss of pairs; the reference's log-probabilities are a value of the rows, or computed without the adapter."""

    per = "pair"
    metrics = METRICS
    row_values = ROW_VALUES

    def __init__(self, spec: DpoSpec):
        self.beta, self._sft_weight = spec.beta, spec.sft_weight
        self._loss = losses(spec.loss, spec.label_smoothing)
        self._per_token = spec.length_normalised or spec.loss == "ipo"
        self._each_step = spec.reference_log_probs == "each_step"

    def score(self, forward: Forward, batch: Batch, whole: Whole) -> Scored:
        pairs = pairs_of(forward, batch)
        reference = self._without_adapter(forward, batch) if self._each_step else batch.values[REFERENCE]
        ratios = pairs.log_probs - reference  # [R, 2]
        scores = ratios / pairs.lengths if self._per_token else ratios
        losses = self._loss(scores[:, CHOSEN] - scores[:, REJECTED], self.beta)
        if self._sft_weight:
            share = whole.divisor / whole.learned[CHOSEN]  # the mean over pairs becomes one over tokens
            losses = losses - self._sft_weight * share * pairs.log_probs[:, CHOSEN]
        rewards = self.beta * ratios.detach()
        return Scored(
            losses.sum() / whole.divisor,
            losses.detach(),
            metrics(rewards, pairs.log_probs, whole.divisor),
            (rewards[:, CHOSEN] - rewards[:, REJECTED])[None],
        )

    @torch.no_grad()
    def _without_adapter(self, forward: Forward, batch: Batch) -> Tensor:
        return reference_of(forward, batch).log_probs


@torch.no_grad()
def reference_of(forward: Forward, batch: Batch) -> Pairs:
    """The pairs under the model with its adapter switched off, and without dropout."""
    model: Any = forward.model
    was_training = model.training
    model.eval()
    try:
        with model.disable_adapter() if hasattr(model, "disable_adapter") else nullcontext():
            return pairs_of(forward, batch)
    finally:
        model.train(was_training)


def losses(kind: str, smoothing: float) -> Callable[[Tensor, float], Tensor]:
    """The loss of each pair as a function of Δ [R] and β."""

    def sigmoid(delta: Tensor, beta: float) -> Tensor:
        return -(1 - smoothing) * logsigmoid(beta * delta) - smoothing * logsigmoid(-beta * delta)

    def robust(delta: Tensor, beta: float) -> Tensor:
        flipped = smoothing * logsigmoid(-beta * delta)
        return (flipped - (1 - smoothing) * logsigmoid(beta * delta)) / (1 - 2 * smoothing)

    def hinge(delta: Tensor, beta: float) -> Tensor:
        return torch.relu(1 - beta * delta)

    def ipo(delta: Tensor, beta: float) -> Tensor:
        return (delta - 1 / (2 * beta)).square()

    return {"sigmoid": sigmoid, "robust": robust, "hinge": hinge, "ipo": ipo}[kind]
