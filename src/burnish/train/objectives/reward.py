"""A reward model on pairs, as Bradley and Terry (1952): the score of an answer is a linear head on its last token.

loss = -log σ(s_chosen - s_rejected - margin) + center_coefficient · (s_chosen + s_rejected)²
The margin is a value of the rows, 0 where a row has none; centring as in arXiv 2312.09244.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from burnish.specs.preferences import RewardSpec
from burnish.train.batches import Batch
from burnish.train.forward import Forward
from burnish.train.objectives.objective import Scored, Separable, Whole
from burnish.train.objectives.pairs import CHOSEN, REJECTED, preferences

MARGIN = "margin"
HEAD = "score"
"""The name of the head, as in transformers' sequence classifiers."""


class Reward(Separable):
    """A loss of pairs by the scores of the model's head `score`."""

    per = "pair"
    metrics = ("accuracy", "margin", "chosen_reward", "rejected_reward")
    row_values = ("margin",)

    def __init__(self, spec: RewardSpec):
        self._center_coefficient = spec.center_coefficient

    def score(self, forward: Forward, batch: Batch, whole: Whole) -> Scored:
        scores = scores_of(forward, batch)
        margins = batch.values.get(MARGIN, scores.new_zeros(len(scores)))
        losses = -logsigmoid(scores[:, CHOSEN] - scores[:, REJECTED] - margins)
        if self._center_coefficient:
            losses = losses + self._center_coefficient * scores.sum(1).square()
        is_right, margin = preferences(scores.detach())
        values = torch.stack([is_right, margin, *scores.detach().unbind(1)])
        return Scored(losses.sum() / whole.divisor, losses.detach(), values.sum(1) / whole.divisor, margin[None])


def scores_of(forward: Forward, batch: Batch) -> Tensor:
    """The score of the last token of each sequence, [R, width] float32."""
    hidden = forward.hidden(batch)[batch.last]
    head = getattr(forward.causal, HEAD)
    assert isinstance(head, nn.Module)
    return head(hidden).float().view(-1, batch.width)
