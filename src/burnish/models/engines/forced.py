"""Teacher-forced log-probabilities: what a model in this process says of each next token of given rows.

Rows are padded on the right and share a forward pass where the model gives the same scores for them as for each row
alone; this is tested once for each model. Log-softmax is always in float32.
"""

import inspect
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from burnish.core.errors import DataError, ModelError
from burnish.models.engines.protocol import Forced, IntArray
from burnish.models.engines.ways import context_of, random_state, reach_of, refuse_not_finite
from burnish.models.probing import boundaries, causal_model, distance, error_text, evaluating, random_ids, text_config
from burnish.models.quantization.compressed import rounds_inputs
from burnish.models.quiet import quiet_transformers

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel

BATCH_TOKENS = 2048
"""Positions of a forward pass, padding included; a longer row is run alone."""
MOST_SCORES = 1 << 27
"""Positions times vocabulary whose scores exist at once (512 MiB in float32). A row that has more is run several times,
each for the scores of some of its positions."""
_POSITIONS = 128
"""Positions of a log-softmax."""
_TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 0.05, torch.float16: 0.02}
_WHERE_ROUNDED = 0.1
"""Where activations are rounded to 8 bits: the last bit of a sum moves some of them to the next value."""
_LONG, _SHORT, _FARTHEST = 24, 7, 200


def forced_log_probs(
    model: "PreTrainedModel | PeftModel",
    rows: Sequence[Sequence[int]],
    *,
    top: int = 1,
    at: Sequence[IntArray] | None = None,
    batch_tokens: int = BATCH_TOKENS,
    most_scores: int = MOST_SCORES,
) -> Iterator[Forced]:
    """Yield the log-probabilities of each row, in order (see `Engine.log_probs`). The model must be in eval mode.

    Rows that follow each other share a batch: rows of similar length in sequence need the least padding.
    Errors: ModelError `model.unsupported` if the score of a token depends on later ones or on random numbers,
    `model.broken` for ids that the model does not embed; DataError `data.too-long` for a row beyond its context;
    RunError `run.not-finite` for scores that are NaN or infinite.
    """
    causal = causal_model(model)
    refuse_rows(rows, _vocabulary(causal), context_of(causal))
    scores = _Scores(causal, most_scores)
    size = _vocabulary(causal)
    for batch in _batches(rows, batch_tokens, most_scores // size, reach_of(causal), scores.shares_batches):
        found = scores.of([rows[place] for place in batch])
        parts: list[list[Part]] = [[] for _ in batch]
        for first, logits in found:  # [B, positions, V]
            for held, place in zip(parts, range(len(batch)), strict=True):
                row = rows[batch[place]]
                last = min(first + logits.shape[1], len(row) - 1)
                requested = None if at is None else at[batch[place]]
                for start in range(first, last, _POSITIONS):
                    end = min(start + _POSITIONS, last)
                    chunk = logits[place, start - first : end - first]
                    refuse_not_finite(causal, chunk, f"the tokens after position {start + 1} of a row")
                    ids = None if requested is None else requested[start:end]
                    held.append(part_of(chunk, row[start + 1 : end + 1], top, ids))
        for held, place in zip(parts, batch, strict=True):
            yield joined(held, min(top, size) if at is None else at[place].shape[-1], size)


Part = tuple[Tensor, Tensor, Tensor, Tensor]
"""Some positions of a row: chosen [P], ids [P, k], log-probabilities [P, k] and top [P]."""


def part_of(logits: Tensor, following: Sequence[int], top: int, requested: IntArray | None) -> Part:
    """chosen [P], ids [P, k], log-probabilities [P, k] and top [P] of scores [P, V]."""
    log_probs = logits.float().log_softmax(dim=-1)
    next_ids = torch.tensor(following, device=logits.device)
    chosen = log_probs.gather(-1, next_ids[:, None])[:, 0]
    if requested is None:
        likeliest, ids = log_probs.topk(min(top, log_probs.shape[-1]), dim=-1)
    else:
        ids = torch.from_numpy(np.asarray(requested, dtype=np.int64)).to(logits.device)
        size = log_probs.shape[-1]
        likeliest = log_probs.gather(-1, ids.clamp(max=size - 1)).masked_fill(ids >= size, -torch.inf)
    return chosen.cpu(), ids.cpu(), likeliest.cpu(), log_probs.argmax(dim=-1).cpu()


def joined(parts: Sequence[Part], width: int, vocabulary: int) -> Forced:
    """The parts of a row as one; `width` is k."""
    if not parts:
        none, wide = np.zeros(0), np.zeros((0, width))
        return Forced(
            none.astype(np.float32), wide.astype(np.int64), wide.astype(np.float32), none.astype(np.int64), vocabulary
        )
    chosen, ids, log_probs, top = (torch.cat(tensors).numpy() for tensors in zip(*parts, strict=True))
    return Forced(chosen, ids, log_probs, top, vocabulary)


class _Scores:
    """Runs a model on batches of rows, in the way that gives each row its own scores."""

    def __init__(self, model: "PreTrainedModel", most: int):
        self._model: Any = model
        self._most = most
        self._keeps = "logits_to_keep" in inspect.signature(self._model.forward).parameters
        self.shares_batches = self._try_batch()

    def of(self, rows: Sequence[Sequence[int]]) -> Iterator[tuple[int, Tensor]]:
        """Yield (first position, scores [rows, positions, V]) in order of the positions."""
        longest, device = max(map(len, rows)), self._model.device
        if longest < 2:
            return
        ids, mask = torch.zeros(len(rows), longest, dtype=torch.long), torch.zeros(len(rows), longest, dtype=torch.long)
        for place, row in enumerate(rows):
            ids[place, : len(row)], mask[place, : len(row)] = torch.tensor(row), 1
        if longest > context_of(self._model):  # the last token predicts nothing, and needs no place in the context
            ids, mask = ids[:, :-1], mask[:, :-1]
        inputs: dict[str, Any] = {"input_ids": ids.to(device), "use_cache": False}
        if not bool(mask.all()):
            inputs["attention_mask"] = mask.to(device)
        at_once = max(1, self._most // (len(rows) * _vocabulary(self._model)))
        if not self._keeps or at_once >= longest - 1:
            yield 0, self._run(inputs)[:, : longest - 1]
            return
        for first in range(0, longest - 1, at_once):
            kept = torch.arange(first, min(first + at_once, longest - 1), device=device)
            yield first, self._run({**inputs, "logits_to_keep": kept})

    @torch.inference_mode()
    def _run(self, inputs: dict[str, Any]) -> Tensor:
        with quiet_transformers():
            return self._model(**inputs).logits

    def _alone(self, row: Sequence[int]) -> Tensor:
        return self._run({"input_ids": torch.tensor([row], device=self._model.device), "use_cache": False})[0].float()

    def _try_batch(self) -> bool:
        """Whether padded rows have the scores that they have alone.

        Errors: ModelError `model.unsupported` if a token's scores depend on later tokens or on random numbers.
        """
        near = [limit for name, limit in boundaries(self._model.config).items() if limit <= _FARTHEST]
        length = min(max([_LONG, *(limit + 12 for limit in near)]), context_of(self._model))
        if length < 4:
            return False
        [long] = (row.tolist() for row in random_ids(self._model.config, [length]))
        short = long[: min(_SHORT, length - 2)]
        state = random_state(self._model)
        with evaluating(self._model):
            try:
                whole, part = self._alone(long), self._alone(short)
            except Exception as error:  # a family may raise any error here
                raise _unsupported(self._model, f"its forward pass fails: {error_text(error)}") from error
            refuse_not_finite(self._model, whole, "a row of random tokens")
            if not torch.equal(random_state(self._model), state):
                raise _unsupported(self._model, "it draws random numbers, so its scores differ between runs")
            if self._differ(part, whole[: len(short)]):
                raise _unsupported(self._model, "the scores of a token depend on the tokens after it")
            padded = [long[::-1][: length - 2], long[::-1][: len(short)]]
            try:
                ids = torch.zeros(3, length, dtype=torch.long)
                mask = torch.zeros_like(ids)
                for place, row in enumerate([long, *padded]):
                    ids[place, : len(row)], mask[place, : len(row)] = torch.tensor(row), 1
                device = self._model.device
                inputs = {"input_ids": ids.to(device), "attention_mask": mask.to(device), "use_cache": False}
                found = self._run(inputs).float()
                expected = [whole, *map(self._alone, padded)]
                return not any(self._differ(ours[: len(own)], own) for ours, own in zip(found, expected, strict=True))
            except Exception as error:  # a family may refuse batches or masks in any way
                error_text(error)
                return False

    def _differ(self, ours: Tensor, theirs: Tensor) -> bool:
        allowed = _WHERE_ROUNDED if rounds_inputs(self._model) else _TOLERANCE.get(self._model.dtype, 0.05)
        return distance(ours.log_softmax(-1), theirs.log_softmax(-1)) > allowed


def _batches(
    rows: Sequence[Sequence[int]], most: int, most_scored: int, reach: int, shares: bool
) -> Iterator[list[int]]:
    """Places of rows that share a forward pass; in order."""
    batch: list[int] = []
    for place, row in enumerate(rows):
        longest = max([len(row), *(len(rows[other]) for other in batch)])
        size = longest * (len(batch) + 1)
        if batch and (not shares or longest > reach or size > min(most, most_scored)):
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def refuse_rows(rows: Sequence[Sequence[int]], size: int, context: int) -> None:
    """Refuse rows with ids outside a vocabulary of that size, and those longer than the context."""
    for number, row in enumerate(rows, 1):
        if not len(row) or max(row) >= size or min(row) < 0:
            raise ModelError(
                "model.broken",
                f"row {number} is empty or has ids outside the model's {size} embeddings",
                "use the tokenizer that belongs to the model",
            )
        if len(row) - 1 > context:
            raise DataError(
                "data.too-long",
                f"row {number} has {len(row)} tokens, and the model's context is {context}",
                "shorten or remove the row",
            )


def _vocabulary(model: "PreTrainedModel") -> int:
    return int(text_config(model.config).vocab_size)


def _unsupported(model: "PreTrainedModel", why: str) -> ModelError:
    return ModelError(
        "model.unsupported",
        f"the log-probabilities of given text cannot be computed with this {model.config.model_type} model: {why}",
        "use a model of another family",
    )
