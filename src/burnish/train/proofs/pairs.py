"""Checks of objectives on several sequences of a row: shared prompts, the preferred answer, the reference."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from burnish.models.probing import evaluating
from burnish.train.batches import Batch
from burnish.train.objectives.kto import LABEL
from burnish.train.objectives.pairs import REFERENCE, log_probs_of
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
        prompts = [rows.ids[span][: int(np.argmax(rows.weights[span] != 0))] for span in rows.spans(row)]
        if any(not np.array_equal(prompt, prompts[0]) for prompt in prompts[1:]):
            return fails(f"the answers of row {rows.row_ids[row]} follow different prompts")
    return holds("the tokens before the first learned one are the same in all sequences of a row")


def preferred(subject: Subject) -> Answer:
    """d loss / d cross-entropy of each sequence, by the objective alone, where no answer is preferred yet.

    At the pairs of the data the slope says less: it is 0 beyond the margin of hinge and where a sigmoid is saturated,
    and ipo and smoothed losses reverse it once an answer is preferred by more than they want.
    """
    rows = subject.sample.rows
    if rows.width != 2 and LABEL not in rows.values:
        return skipped("no answer is preferred to another")
    for batch in subject.batches():
        with evaluating(subject.model):
            leaf = Indifferent(subject.scorer, batch)
            loss = subject.objective.score(leaf, batch, subject.whole).loss
            (found,) = torch.autograd.grad(loss, leaf.losses, allow_unused=True)
        if found is None:
            return skipped("the objective reads no log-probabilities")
        slopes = batch.sums(found)  # [S]
        if rows.width == 2:
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
    if REFERENCE in rows.values:
        if subject.is_started:
            return skipped("the training is resumed")
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


def _log_probs(subject: Subject) -> Tensor:
    """Of the base, whose weights are those of the model without its adapter."""
    with subject.in_evaluation() as plain, subject.base_layers_only():
        return torch.stack([plain.log_probs(row) for row in range(len(subject.sample.rows))])


class Indifferent:
    """A Forward whose losses of tokens are a leaf: as under the reference, or about 0, so that Δ is 0."""

    def __init__(self, scorer: Any, batch: Batch):
        self._scorer = scorer
        losses = torch.full_like(batch.weights, _CERTAIN)  # [K]
        if REFERENCE in batch.values:
            losses = (-batch.values[REFERENCE].flatten() / batch.counts)[batch.sequences]
        self.losses = losses.requires_grad_()

    def token_losses(self, batch: Batch, temperature: float = 1.0) -> Tensor:
        return self.losses

    def __call__(self, batch: Batch, normaliser: float) -> tuple[Tensor, Tensor]:
        return (self.losses * batch.weights).sum() / normaliser, self.losses.detach()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._scorer, name)


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
        "check that chosen and rejected, or the labels, are not exchanged in the data",
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
