"""The objective of sft and pretrain: cross-entropy of the learned tokens, each with its weight.

loss = Σ weight·ce / Σ weight, over the whole optimizer step
"""

import numpy as np
from numpy.typing import NDArray

from burnish.tokens.tokenised import Indices, TokenisedRows
from burnish.train.batches import Batch
from burnish.train.forward import Forward
from burnish.train.objectives.objective import Scored, Separable, Whole, no_metrics, no_row_values


class Causal(Separable):
    """Cross-entropy of the next token."""

    per = "learned token"

    def row_weights(self, data: TokenisedRows, rows: Indices) -> NDArray[np.float64]:
        """Σ weight of each row."""
        return np.array([data.weights[data.span(row)].sum(dtype=np.float64) for row in rows.tolist()])

    def score(self, forward: Forward, batch: Batch, whole: Whole) -> Scored:
        loss, losses = forward(batch, whole.divisor)
        row_losses = batch.sums(losses * batch.weights) / batch.sums(batch.weights)
        return Scored(loss, row_losses, no_metrics(loss), no_row_values(loss, len(batch.rows)))
