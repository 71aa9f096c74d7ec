"""Likelihood of text under a model: negative log-likelihood per row, perplexity, and bits per byte.

Learned tokens have a weight above 0 and are weighted as in training. With weights w, the model's
probabilities p and the bytes b of the text of a token:

    perplexity    = exp(Σ w·(-ln p) / Σ w)          per token, comparable only between models with the same tokenizer
    bits per byte = Σ w·(-log₂ p) / Σ w·b           comparable between tokenizers

Bytes are the UTF-8 bytes of the decoded learned tokens without special tokens: an end-of-turn token adds bits
but no bytes. Sums are taken over all rows before dividing, so rows are weighted by length.

Rows are padded on the right, and the padding is masked. Attention is causal, so a row's likelihood does not depend
on its batch, up to float32 rounding. Log-softmax is always computed in float32.
"""

import inspect
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import Tensor

from burnish.evals.likelihood import Likelihood as Likelihood
from burnish.models.engines.llama.engine import LlamaEngine

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_POSITIONS = 256
"""Positions per log-softmax, to limit memory."""


class LearnedRow(Protocol):
    """A rendered row: ids int [T], and weights float [T] of predicting each token."""

    @property
    def ids(self) -> np.ndarray: ...
    @property
    def weights(self) -> np.ndarray: ...


def likelihoods(
    model: "PreTrainedModel | LlamaEngine",
    tokenizer: "PreTrainedTokenizerBase",
    rows: Sequence[LearnedRow],
    *,
    batch_tokens: int = 4096,
) -> Iterator[tuple[int, Likelihood]]:
    """Yield (row index, likelihood), longest rows first, in batches of at most `batch_tokens`.

    A longer row is a batch by itself. Rows without learned tokens are skipped. The model must be in eval mode.
    """
    useful = [i for i, row in enumerate(rows) if (np.asarray(row.weights)[1:] > 0).any()]
    useful.sort(key=lambda i: -len(rows[i].ids))
    first = 0
    while first < len(useful):
        size = max(1, batch_tokens // len(rows[useful[first]].ids))
        batch = useful[first : first + size]
        chosen = [rows[i] for i in batch]
        found = _forced_nats(model, chosen) if isinstance(model, LlamaEngine) else _nats(model, chosen)
        for index, nats in zip(batch, found, strict=True):
            weights = np.asarray(rows[index].weights, dtype=np.float64)
            yield index, Likelihood(nats, float(weights[1:].sum()), learned_bytes(tokenizer, rows[index]))
        first += size


def learned_bytes(tokenizer: "PreTrainedTokenizerBase", row: LearnedRow) -> float:
    """Σ w·b: for each run of equal weights, the UTF-8 bytes that it adds to the decoded text."""
    weights = np.asarray(row.weights)
    edges = [0, *(np.flatnonzero(np.diff(weights)) + 1).tolist(), len(weights)]
    total = 0.0
    for start, end in pairwise(edges):
        if weights[start] > 0:
            total += float(weights[start]) * (
                _decoded_bytes(tokenizer, row, end) - _decoded_bytes(tokenizer, row, start)
            )
    return total


def _decoded_bytes(tokenizer: "PreTrainedTokenizerBase", row: LearnedRow, end: int) -> int:
    ids = np.asarray(row.ids)[:end].tolist()
    text = tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return len(str(text).encode())


def _forced_nats(engine: LlamaEngine, rows: Sequence[LearnedRow]) -> list[float]:
    """As `_nats`, of a GGUF file."""
    found = engine.log_probs([np.asarray(row.ids).tolist() for row in rows])
    weights = [np.asarray(row.weights, dtype=np.float64)[1:] for row in rows]
    return [
        -float((forced.chosen[weight != 0] * weight[weight != 0]).sum())
        for forced, weight in zip(found, weights, strict=True)
    ]


@torch.inference_mode()
def _nats(model: "PreTrainedModel", rows: Sequence[LearnedRow]) -> list[float]:
    """Σ w·(-ln p) of each row, from one forward pass over all rows."""
    longest = max(len(row.ids) for row in rows)
    ids = torch.zeros((len(rows), longest), dtype=torch.long)
    weights = torch.zeros((len(rows), longest))
    mask = torch.zeros((len(rows), longest), dtype=torch.long)
    for i, row in enumerate(rows):
        ids[i, : len(row.ids)] = torch.as_tensor(np.asarray(row.ids))
        weights[i, : len(row.ids)] = torch.as_tensor(np.asarray(row.weights))
        mask[i, : len(row.ids)] = 1
    row_of, predicting = torch.nonzero(weights[:, 1:], as_tuple=True)  # [K]: the position before each learned token
    targets, shares = ids[row_of, predicting + 1], weights[row_of, predicting + 1].double()
    kept, column = predicting.unique(return_inverse=True)
    logits = _logits(model, ids.to(model.device), mask.to(model.device), kept.to(model.device))  # [rows, kept, V]
    losses = torch.cat(
        [
            _cross_entropy(logits, row_of[part], column[part], targets[part])
            for part in torch.arange(len(targets)).split(_POSITIONS)
        ]
    )
    sums = torch.zeros(len(rows), dtype=torch.float64).index_add_(0, row_of, shares * losses)
    return sums.tolist()


def _logits(model: "PreTrainedModel", ids: Tensor, mask: Tensor, kept: Tensor) -> Tensor:
    """Logits at the positions `kept`; other positions are not computed if the model supports it."""
    inputs = {"input_ids": ids, "attention_mask": mask, "use_cache": False}
    plain = model.get_base_model() if hasattr(model, "peft_config") else model  # pyright: ignore[reportCallIssue]
    if "logits_to_keep" in inspect.signature(plain.forward).parameters:
        return model(**inputs, logits_to_keep=kept).logits
    return model(**inputs).logits[:, kept]


def _cross_entropy(logits: Tensor, row_of: Tensor, column: Tensor, targets: Tensor) -> Tensor:
    device = logits.device
    chosen = logits[row_of.to(device), column.to(device)].float()  # [K, V]
    return torch.nn.functional.cross_entropy(chosen, targets.to(device), reduction="none").cpu()
