"""Simple preference optimization (arXiv 2405.14734), and the losses of CPO (arXiv 2401.08417).

Δ = log π(chosen|x) - log π(rejected|x), both per token for simpo and ipo
simpo   -log σ(βΔ - γ), smoothed as sigmoid;  sigmoid, hinge, ipo as in `pairs.losses`
loss = f(Δ, β) + sft_weight · cross-entropy of the chosen answers, per token of the step
"""

from burnish.specs.preferences import SimpoSpec
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
    preferences,
)


class Simpo(Separable):
    """A loss of pairs without a reference."""

    per = "pair"
    metrics = METRICS
    row_values = ROW_VALUES

    def __init__(self, spec: SimpoSpec):
        is_simpo, self._sft_weight = spec.loss == "simpo", spec.sft_weight
        self.beta = spec.beta if spec.beta is not None else 2.0 if is_simpo else 0.1
        self._gap = spec.gamma / self.beta if is_simpo else 0.0
        self._loss = losses("sigmoid" if is_simpo else spec.loss, spec.label_smoothing)
        self._per_token = spec.loss in ("simpo", "ipo")

    def score(self, forward: Forward, batch: Batch, whole: Whole) -> Scored:
        pairs = pairs_of(forward, batch)
        scores = pairs.per_token if self._per_token else pairs.log_probs
        losses = self._loss(scores[:, CHOSEN] - scores[:, REJECTED] - self._gap, self.beta)
        if self._sft_weight:
            losses = losses + self._sft_weight * chosen_cross_entropy(pairs, whole)
        rewards = self.beta * scores.detach()
        return Scored(
            losses.sum() / whole.divisor,
            losses.detach(),
            metrics(rewards, pairs.log_probs, whole.divisor),
            preferences(rewards)[1][None],
        )
