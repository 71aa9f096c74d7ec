"""Checks of objectives on several sequences of a row: shared prompts, the preferred answer, the reference."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from burnish.models.probing import evaluating
from burnish.train.batches import Batch
from burnish.train.objectives.kto import LABEL
from burnish.train.objectives.pairs import REFERENCE, log_probs_of
from burnish.train.objectives.reward import HEAD
from burnish.train.objectives.surrogate import ADVANTAGE, OLD
from burnish.train.objectives.surrogate import REFERENCE as DIVERGED_FROM
from burnish.train.proofs.objectives.leaf import Leaf
from burnish.train.proofs.question import Answer, Question, fails, holds, skipped
from burnish.train.proofs.subject import Subject

_ROWS = 256
_CERTAIN = 1e-5
"""The loss of every token without a reference: answers of any length are about equal, in sum and per token."""


def shared_prompt(subject: Subject) -> Answer:
    rows = subject.rows
    if rows.width < 2:
        return skipped("a row is one sequence")
    for row in subject.visited[:_ROWS].tolist():
        prompts = [rows.ids[span][: _first_learned(rows.weights[span])] for span in rows.spans(row)]
        if any(not np.array_equal(prompt, prompts[0]) for prompt in prompts[1:]):
            return fails(f"the answers of row {rows.row_ids[row]} follow different prompts")
    return holds("the tokens before the first learned one are the same in all sequences of a row")


def _first_learned(weights: NDArray[np.float32]) -> int:
    """The place of the first learned token, the end where there is none: a completion that is left out."""
    return int(np.argmax(weights != 0)) if weights.any() else len(weights)


def preferred(subject: Subject) -> Answer:
    """d loss / d cross-entropy of each sequence, or minus its score, by the objective alone, where no answer is
    preferred yet.

    At the pairs of the data the slope says less: it is 0 beyond the margin of hinge and where a sigmoid is saturated,
    and ipo and smoothed losses reverse it once an answer is preferred by more than they want.
    """
    rows = subject.sample.rows
    is_judged = rows.width == 2 or LABEL in rows.values if subject.drawn is None else ADVANTAGE in rows.values
    if not is_judged:
        return skipped("no answer is preferred to another")
    for batch in subject.batches():
        batch = replace(
            batch, token_values=_without(batch.token_values, DIVERGED_FROM)
        )  # a divergence has its own sign
        with evaluating(subject.model):
            leaf = _Indifferent(subject, batch)
            loss = subject.objective.score(leaf, batch, subject.whole).loss
            found, of_states = torch.autograd.grad(loss, (leaf.losses, leaf.states), allow_unused=True)
        if of_states is not None:
            weight: Any = getattr(subject.scorer.causal, HEAD).weight
            slopes = -(of_states[batch.last] @ weight.detach()[0])  # [S], of minus the scores
        elif found is not None:
            slopes = batch.sums(found)  # [S]
        else:
            return skipped("the objective reads neither log-probabilities nor scores")
        if ADVANTAGE in batch.values:
            signs = batch.values[ADVANTAGE].flatten().sign() * (batch.counts > 0)
        elif rows.width == 2:
            signs = torch.tensor([1.0, -1.0], device=slopes.device).repeat(len(batch.rows))
        else:
            signs = torch.where(batch.values[LABEL] > 0.5, 1.0, -1.0)
        if bool((slopes * signs < 0).any()):
            return fails("a step would make a good answer less likely, or a bad one more likely")
        if not bool(slopes[signs > 0].any()) and bool((signs > 0).any()):
            return fails("the loss does not depend on the good answers")
    return holds("a step makes each good answer more likely, and each bad one less likely")


def reference(subject: Subject) -> Answer:
    reference = getattr(subject.spec, "reference", None)
    if reference is None or reference != "base":
        return skipped("the objective has no reference" if reference is None else "the reference is another model")
    rows = subject.sample.rows
    if subject.drawn is not None:
        return _reference_of_rollouts(subject)
    if REFERENCE in rows.values and subject.is_started:
        return skipped("the training is resumed")
    if REFERENCE in rows.values and not subject.sample.is_cut:
        found = torch.from_numpy(rows.values[REFERENCE]).reshape(len(rows), -1)
        expected = _log_probs(subject)
    else:
        with subject.perturbed():
            subject.model.train()
            with subject.scorer.untrained():
                parts = [log_probs_of(subject.scorer, batch) for batch in subject.batches()]
            found = torch.cat(parts).reshape(len(rows), -1)
            expected = _log_probs(subject)
    return subject.compare(found, expected, "log-probabilities of the reference, and of the base row by row")


def _reference_of_rollouts(subject: Subject) -> Answer:
    """Computed now, as for a later rollout: before the first step the model is its own reference."""
    assert subject.drawn is not None
    compute, rows = subject.drawn.reference, subject.sample.rows
    if compute is None:
        return skipped("there is no KL divergence")
    is_adapter = hasattr(subject.model, "peft_config")
    if subject.is_started and not is_adapter:
        return skipped("the training is resumed: the model is not the reference any more")
    with subject.perturbed() if is_adapter else nullcontext():
        subject.model.train()
        found = torch.from_numpy(compute(rows))
    expected = -subject.base_losses_at(subject.temperature)
    return subject.compare(found, expected, "log-probabilities of the reference, and of the base token by token")


def _log_probs(subject: Subject) -> Tensor:
    """Of the base, whose weights are those of the model without its adapter."""
    return -subject.sums(subject.base_losses_at())


def _without(values: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key: value for key, value in values.items() if key != name}


class _Indifferent(Leaf):
    """The same loss for all answers, and states that give them the score 0."""

    def __init__(self, subject: Subject, batch: Batch):
        super().__init__(subject.scorer, _indifferent(batch))
        causal: Any = subject.scorer.causal
        width = getattr(causal, HEAD).in_features if hasattr(causal, HEAD) else 1
        self.states = torch.zeros(batch.tokens, width, dtype=causal.dtype, device=causal.device, requires_grad=True)

    def hidden(self, batch: Batch) -> Tensor:
        return self.states


def _indifferent(batch: Batch) -> Tensor:
    """Losses [K] of tokens as under the reference, or before the first step on a rollout, or about 0: Δ is 0."""
    if REFERENCE in batch.values:
        return (-batch.values[REFERENCE].flatten() / batch.counts)[batch.sequences]
    return -batch.token_values[OLD] if OLD in batch.token_values else torch.full_like(batch.weights, _CERTAIN)


AT_START = (
    Question(
        "shared prompt",
        "Do the answers of a row follow the same prompt, token by token?",
        "check the rows with `burnish inspect`: the template must end a prompt at a token border",
        shared_prompt,
        at_start=True,
    ),
    Question(
        "preferred answer",
        "Does a step make good answers more likely and bad ones less?",
        "report this as a bug: the objective prefers the wrong answers",
        preferred,
        at_start=True,
    ),
    Question(
        "reference",
        "Are the reference's log-probabilities those of the base?",
        "set reference_log_probs: cached with resume: never, and report this as a bug",
        reference,
        at_start=True,
    ),
)
