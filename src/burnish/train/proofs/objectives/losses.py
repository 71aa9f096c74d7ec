"""The check of the objective itself: its loss and the slope of it are those of the formula, in float64."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from burnish.models.probing import evaluating, trunks
from burnish.train.objectives.pairs import REFERENCE
from burnish.train.objectives.reward import HEAD
from burnish.train.proofs.objectives.formulas import FORMULAS, Row
from burnish.train.proofs.objectives.leaf import Leaf
from burnish.train.proofs.question import Answer, Question, fails, skipped
from burnish.train.proofs.subject import GRADIENT_TOLERANCE, Subject

_DIVERGENCE = 0.3
"""What stands for the divergence that kto estimates from the rows of a step."""


def formula(subject: Subject) -> Answer:
    """The loss of the sample as a step computes it, from the model's own log-probabilities of each sequence alone."""
    stated = FORMULAS.get(type(subject.objective).__name__)
    if stated is None:
        return skipped("no formula of this objective is known here")
    rows = _rows(subject, -subject.plain_losses_at(subject.temperature).double(), _reference(subject), _scores(subject))
    expected = float(stated(subject.settings, rows).detach())
    ours, theirs = subject.with_scale(subject.in_one.loss), subject.with_scale(expected)
    answer = subject.compare(ours, theirs, "the loss of a step, and that of its formula in float64")
    if answer.verdict == "does not hold" or HEAD in dict(subject.scorer.causal.named_children()):
        return answer
    return _slopes(subject, stated, answer)


def _slopes(subject: Subject, stated: Any, answer: Answer) -> Answer:
    """d loss / d log-probability of each token, by the objective alone and by the formula."""
    batch, losses = subject.batch(), subject.plain_losses_at(subject.temperature)
    whole = subject.whole
    if subject.objective.surveys:
        whole = replace(whole, surveyed=torch.full((), _DIVERGENCE * whole.divisor, device=subject.device))
    with evaluating(subject.model):
        leaf = Leaf(subject.scorer, losses)
        found = subject.objective.score(leaf, batch, whole).loss
        (slope,) = torch.autograd.grad(found, leaf.losses)
    log_probs = (-losses.double()).requires_grad_()
    is_own = getattr(subject.spec, "reference_log_probs", "") == "each_step"  # its reference is the leaf itself
    rows = _rows(subject, log_probs, -losses.double() if is_own else None, None, _DIVERGENCE)
    loss = stated(subject.settings, rows)
    (expected,) = torch.autograd.grad(loss, log_probs)
    if not bool(expected.any()):
        return answer
    ours, theirs = subject.with_scale(float(found.detach())), subject.with_scale(float(loss.detach()))
    compared = subject.compare(ours, theirs, "the loss at given log-probabilities, and that of its formula")
    if compared.verdict == "does not hold":
        return compared
    where = "the loss and its slope at each token, and those of the formula in float64"
    compared = subject.compare(-slope, expected, where, GRADIENT_TOLERANCE)
    return compared if compared.verdict == "does not hold" else replace(answer, found=where)


def _rows(
    subject: Subject, log_probs: Tensor, reference: Tensor | None, scores: Tensor | None, divergence: float = 0.0
) -> list[Row]:
    """The sample for a formula; log-probabilities [K] are in the order of its learned tokens, `reference` likewise."""
    data, found, start, place = subject.sample.rows, list[Row](), 0, 0
    if reference is not None:
        reference = reference.double().cpu()
    log_probs = log_probs.cpu()
    for row in range(len(data)):
        parts, weights, tokens, references = [], [], [], list[Tensor]()
        for number, span in enumerate(data.spans(row)):
            learned = data.weights[span] != 0
            end = start + int(learned.sum())
            parts.append(log_probs[start:end])
            weights.append(torch.from_numpy(data.weights[span][learned]).double())
            numbers = {
                name: torch.from_numpy(array[span][learned]).double() for name, array in data.token_values.items()
            }
            tokens.append(numbers)
            if REFERENCE in data.values:
                references.append(torch.from_numpy(data.values[REFERENCE]).double().reshape(len(data), -1)[row, number])
            elif reference is not None:
                references.append(reference[start:end].sum())
            start = end
        values = {name: torch.as_tensor(array[row]).double() for name, array in data.values.items()}
        values["divergence"] = torch.tensor(divergence, dtype=torch.float64)
        mine = [] if scores is None else list(scores[place : place + data.width])
        found.append(Row(parts, weights, tokens, values, references, mine))
        place += data.width
    return found


def _reference(subject: Subject) -> Tensor | None:
    """Log-probabilities [K] of the base where they are computed at each step."""
    if getattr(subject.spec, "reference_log_probs", "") != "each_step" or subject.drawn is not None:
        return None
    return -subject.base_losses_at()


def _scores(subject: Subject) -> Tensor | None:
    """The scores [S] of a reward model, each of a sequence alone at its last token."""
    head = getattr(subject.scorer.causal, HEAD, None)
    if not isinstance(head, nn.Module):
        return None
    return alone(subject, head).double().cpu()


def alone(subject: Subject, head: nn.Module) -> Tensor:
    """The scores [S] of the sample's sequences: the head on the last hidden state of each one alone."""
    rows = subject.sample.rows
    with subject.in_evaluation() as plain:
        states = plain.hidden(subject.batch())
    ends = torch.cumsum(torch.from_numpy(rows.sequence_lengths), 0) - 1
    with torch.no_grad():
        return head(states[ends.to(states.device)]).float().flatten()


def score(subject: Subject) -> Answer:
    """The scores in one packed batch, and those of each answer alone at its last token, also with padding after it."""
    head = getattr(subject.scorer.causal, HEAD, None)
    if not isinstance(head, nn.Module):
        return skipped("the objective reads no score")
    rows, expected = subject.sample.rows, alone(subject, head)
    parts = list[Tensor]()
    hook = head.register_forward_hook(lambda module, given, scores: parts.append(scores.float().flatten()))
    try:
        with torch.no_grad(), evaluating(subject.model):
            for batch in subject.batches():
                subject.objective.score(subject.scorer, batch, subject.whole)
    finally:
        hook.remove()
    found = torch.cat(parts)
    if len(found) != len(expected):
        return fails(f"{len(found)} scores are read of {len(expected)} answers")
    answer = subject.compare(found, expected, "scores in a packed batch, and of each answer alone at its last token")
    if answer.verdict == "does not hold":
        return answer
    padded = _padded(subject, head)
    return subject.compare(padded, expected[: rows.width], "scores packed, alone, and with padding after the answer")


def _padded(subject: Subject, head: nn.Module) -> Tensor:
    """The scores of the first row's sequences with as many tokens of padding after them, which are masked."""
    rows, found = subject.sample.rows, list[Tensor]()
    with subject.in_evaluation() as plain:
        trunk: Any = trunks(plain.causal)[0]
        for start, end in list(pairwise(rows.offsets[: rows.width + 1].tolist())):
            ids = torch.from_numpy(rows.ids[start:end].astype("int64")).to(subject.device)[None]
            padded = torch.cat([ids, torch.zeros_like(ids)], 1)
            mask = torch.cat([torch.ones_like(ids), torch.zeros_like(ids)], 1)
            states = trunk(input_ids=padded, attention_mask=mask, use_cache=False).last_hidden_state[0]
            found.append(head(states[end - start - 1]).float().flatten())
    return torch.cat(found)


QUESTIONS = (
    Question("formula", "Is the loss that of the objective's formula?", "report this as a bug", formula),
    Question(
        "score",
        "Is an answer scored at its last token, whatever stands beside and after it?",
        "set attention: sdpa, and report this as a bug",
        score,
    ),
)
