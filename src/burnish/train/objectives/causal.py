"""The objective of sft and pretrain: cross-entropy of the learned tokens, each with its weight.

Loss = Σ weight·ce / Σ weight over the whole optimizer step. The divisor is known before the first
micro-batch, so the gradient does not depend on how the step is split.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from burnish.train.batches import Batch
from burnish.train.scoring import Scorer


@dataclass(frozen=True)
class Scored:
    """A micro-batch's part of the step's loss, and the values of each row for the row ledger."""

    loss: Tensor  # scalar, differentiable
    row_losses: Tensor  # [S] float32, Σ weight·ce / Σ weight of the row


def score(scorer: Scorer, batch: Batch, normaliser: float) -> Scored:
    """Score one micro-batch; `normaliser` is Σ weight over the whole optimizer step."""
    loss, losses = scorer(batch, normaliser)
    sums = torch.zeros(2, len(batch.rows), device=losses.device)
    sums[0].index_add_(0, batch.sequences, losses * batch.weights)
    sums[1].index_add_(0, batch.sequences, batch.weights)
    return Scored(loss, sums[0] / sums[1])
