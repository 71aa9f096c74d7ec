"""Checks of rows that a training samples: their log-probabilities, where they end, their advantages, the divergence."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from burnish.models.probing import distance, evaluating
from burnish.tokens.tokenised import Indices
from burnish.train.batches import Batch
from burnish.train.objectives.surrogate import ADVANTAGE, ENGINE, PENALISED, REFERENCE
from burnish.train.proofs.objectives.leaf import Leaf
from burnish.train.proofs.question import Answer, Question, fails, holds, skipped, within
from burnish.train.proofs.subject import Subject

_ROWS = 512
_TOKENS = 2048
"""The most tokens of a row that is computed whole, for a model that fits them."""
_TOLERANCE = 1e-3


def sampled(subject: Subject) -> Answer:
    """The log-probabilities that the objective computes of whole completions, and those noted as they were sampled."""
    rows = subject.rows
    if subject.drawn is None or ENGINE not in rows.token_values:
        return skipped("the rows are not sampled")
    if subject.is_started:
        return skipped("the training is resumed")
    chosen = subject.visited[np.argsort(rows.lengths[subject.visited], kind="stable")[:2]]
    if rows.lengths[chosen[0]] > _TOKENS:
        return skipped(f"not checked: each row has more than {_TOKENS} tokens")
    found, noted = list[Tensor](), list[Tensor]()
    with torch.no_grad(), evaluating(subject.model):
        for row in chosen[rows.lengths[chosen] <= _TOKENS].tolist():
            batch = subject.batch(rows, np.array([row]))
            heard = _Heard(subject.scorer)
            subject.objective.score(heard, batch, subject.passes.whole(rows, np.array([row])))
            found.append(-heard.losses[0])
            noted.append(batch.token_values[ENGINE])
    return subject.compare(
        torch.cat(found), torch.cat(noted), "log-probabilities of sampled tokens in the loss and in generation"
    )


class _Heard:
    """A Forward that keeps the losses of tokens which an objective asks for."""

    def __init__(self, scorer: Any):
        self._scorer, self.losses = scorer, list[Tensor]()

    def token_losses(self, batch: Batch, temperature: float = 1.0) -> Tensor:
        self.losses.append(self._scorer.token_losses(batch, temperature))
        return self.losses[-1]

    def token_losses_and_states(self, batch: Batch, temperature: float = 1.0) -> tuple[Tensor, Tensor]:
        losses, states = self._scorer.token_losses_and_states(batch, temperature)
        self.losses.append(losses)
        return losses, states

    def __getattr__(self, name: str) -> Any:
        return getattr(self._scorer, name)


def completions(subject: Subject) -> Answer:
    if subject.drawn is None:
        return skipped("the rows are not sampled")
    rows, ends, ended, total = subject.rows, subject.drawn.stop_ids, 0, 0
    for row in subject.visited[:_ROWS].tolist():
        for span in rows.spans(row):
            ids, learned = rows.ids[span], rows.weights[span] != 0
            if not learned.any():
                continue
            first = int(np.argmax(learned))
            stops = [place for place in range(first, len(ids)) if int(ids[place]) in ends]
            if not learned[first:].all():
                return fails(f"a completion of row {rows.row_ids[row]} is not learned from its first token to its last")
            if stops and stops[0] != len(ids) - 1:
                after = len(ids) - 1 - stops[0]
                return fails(f"{after} tokens after the end of a completion of row {rows.row_ids[row]} are learned")
            if not stops and len(ids) - first < subject.drawn.longest and not _fills(subject, len(ids)):
                return fails(f"the end of a completion of row {rows.row_ids[row]} is not learned")
            total, ended = total + 1, ended + bool(stops)
    return holds(f"{total} completions are learned from their first token to their last; {ended} have ended")


def _fills(subject: Subject, tokens: int) -> bool:
    """Whether a sequence may have been cut by the model's context."""
    limit = getattr(subject.scorer.causal.config.get_text_config(), "max_position_embeddings", None)
    return limit is not None and tokens >= limit


def advantages(subject: Subject) -> Answer:
    """Computed again from the stored rewards of each prompt, one group at a time."""
    rows, spec = subject.rows, subject.settings
    if subject.drawn is None or ADVANTAGE not in rows.values or not hasattr(spec, "advantage_scale"):
        return skipped("no advantages of groups are used")
    expected, found = list[float](), list[float]()
    rewards = {group: rows.values[PENALISED][places].flatten() for group, places in _groups(subject.drawn.groups)}
    everything = [float(value) for group in rewards.values() for value in group if not math.isnan(value)]
    for group, places in _groups(subject.drawn.groups):
        given = [float(value) for value in rewards[group] if not math.isnan(value)]
        spread = {"group": given, "batch": everything, "none": None}[spec.advantage_scale]
        divisor = 1.0 if spread is None else _deviation(spread) + 1e-4
        for value in rewards[group].tolist():
            if math.isnan(value) or len(given) < 2:
                expected.append(0.0)
                continue
            others = (sum(given) - value) / (len(given) - 1)
            base = sum(given) / len(given) if spec.baseline == "group_mean" else others
            expected.append((value - base) / divisor)
        found += rows.values[ADVANTAGE][places].flatten().tolist()
    if not any(expected) and not any(found):
        return holds(f"the rewards of each of the {len(rewards)} prompts are equal: all advantages are 0")
    share = distance(torch.tensor(found), torch.tensor(expected))
    return within(share, _TOLERANCE, f"advantages of {len(found)} completions, and those of their rewards, by prompt")


def _groups(groups: Indices) -> Iterator[tuple[int, Indices]]:
    for group in np.unique(groups).tolist():
        yield group, np.flatnonzero(groups == group)


def _deviation(numbers: Sequence[float]) -> float:
    """The sample standard deviation."""
    if len(numbers) < 2:
        return 0.0
    mean = sum(numbers) / len(numbers)
    return math.sqrt(sum((number - mean) ** 2 for number in numbers) / (len(numbers) - 1))


def divergence(subject: Subject) -> Answer:
    """The loss with the divergence less the loss without it, at tokens likelier than the reference has them and less.

    For k2 and k3 it is not negative, and its slope leads to the reference; for k1 it has the sign of the log-ratio.
    """
    spec, rows = subject.settings, subject.sample.rows
    if REFERENCE not in rows.token_values or not getattr(spec, "kl_coefficient", 0.0):
        return skipped("there is no KL divergence")
    if getattr(spec, "kl_in", "reward") == "reward":
        return skipped("the divergence is part of the rewards")
    estimator = getattr(spec, "kl_estimator", "k3")
    for sign in (1.0, -1.0):
        batch = subject.batch()
        leaf = Leaf(subject.scorer, torch.full_like(batch.weights, 2.0))
        losses = [subject.objective.score(leaf, one, subject.whole).loss for one in _beside(batch, leaf.losses, sign)]
        added = losses[0] - losses[1]
        (slope,) = torch.autograd.grad(added, leaf.losses)
        value, pull = float(added.detach()), float(-slope.sum()) * sign  # of the log-probability
        if not value * (sign if estimator == "k1" else 1.0) > 0:
            return fails(f"{estimator} adds {value:.2g} to the loss where log-ratios are {sign:+.0f}")
        if estimator != "k1" and not pull > 0:
            return fails(f"the slope of {estimator} leads away from the reference where log-ratios are {sign:+.0f}")
    return holds(
        f"{estimator} has the sign of its definition for tokens that are likelier than under the reference, and less"
    )


def _beside(batch: Batch, losses: Tensor, sign: float) -> tuple[Batch, Batch]:
    """The batch with a reference under which each token is e times less likely, or more, and with the same one."""
    now = -losses.detach()
    known = dict.fromkeys(batch.token_values, now)
    return (
        replace(batch, token_values=known | {REFERENCE: now - sign}),
        replace(batch, token_values=known | {REFERENCE: now}),
    )


AT_START = (
    Question(
        "sampled",
        "Has a sampled token the log-probability in the loss that it had in generation?",
        "set attention: sdpa, and report this as a bug",
        sampled,
        at_start=True,
    ),
    Question(
        "completions",
        "Is a completion learned up to the token that ends it, and no further?",
        "report this as a bug",
        completions,
        at_start=True,
    ),
    Question(
        "advantages",
        "Are advantages those of the rewards of each prompt's completions?",
        "report this as a bug",
        advantages,
        at_start=True,
    ),
    Question(
        "divergence",
        "Has the KL divergence the right sign?",
        "set kl_coefficient: 0, and report this as a bug",
        divergence,
        at_start=True,
    ),
)
