"""Numbers of the learned tokens of rows: computed by a model, laid out over all tokens, summed over sequences."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from burnish.tokens.tokenised import Indices, TokenisedRows
from burnish.train.batches import Batch
from burnish.train.passes import ForwardPasses

ReferencePass = Callable[[TokenisedRows], NDArray[np.float32]]
"""Log-probabilities of the reference of the learned tokens [K], in their order."""


def log_probs(passes: ForwardPasses, rows: TokenisedRows, temperature: float) -> NDArray[np.float32]:
    """The log-probability of each learned token [K] under the model of `passes`, without dropout."""
    return computed(passes, rows, lambda batch: -passes.scorer.token_losses(batch, temperature)[None])[0]


def computed(
    passes: ForwardPasses, rows: TokenisedRows, run: Callable[[Batch], Tensor], count: int = 1
) -> NDArray[np.float32]:
    """`count` numbers of each learned token [count, K], as `run` returns those of a batch, without dropout."""
    every = np.arange(len(rows))
    places = np.full(len(rows.ids), -1, np.int64)
    learned = rows.learned_tokens(every)
    places[learned] = np.arange(len(learned))
    values = np.zeros((count, len(learned)), np.float32)
    results = passes.each(rows, every, run)
    fitting, _ = passes.fitting(rows, every)
    for part, found in results:
        values[:, places[fitting.learned_tokens(part)]] = found.float().cpu().numpy()
    return values


def spread(rows: TokenisedRows, learned: Indices, numbers: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Numbers of the learned tokens as values of all tokens."""
    values = np.zeros(len(rows.ids), np.float32)
    values[learned] = numbers
    return values


def sequences_of(rows: TokenisedRows, learned: Indices) -> Indices:
    """The sequence that each learned token belongs to, counted over all rows [K]."""
    return np.searchsorted(rows.offsets, learned, side="right") - 1


def sums(rows: TokenisedRows, learned: Indices, numbers: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """The sum of numbers of the learned tokens over each sequence."""
    sequences = sequences_of(rows, learned)
    return np.bincount(sequences, numbers.astype(np.float64), minlength=len(rows.offsets) - 1).astype(np.float64)
