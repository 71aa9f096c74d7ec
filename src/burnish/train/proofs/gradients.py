"""Checks of gradients: equal to those of the plain twin, on every trained weight, on no frozen one."""

import re
from typing import Any

import numpy as np
import torch
from torch import Tensor

from burnish.models import value_head
from burnish.models.adapters.new_tokens import tokens_of
from burnish.models.probing import evaluating
from burnish.tokens.tokenised import TokenisedRows
from burnish.train.batches import Batch, make_batch
from burnish.train.forward import Forward
from burnish.train.objectives.objective import Scored, Separable, Whole, no_metrics, no_row_values
from burnish.train.objectives.ppo import Ppo, log_probs_and_values
from burnish.train.objectives.reward import HEAD, Reward, scores_of
from burnish.train.proofs.question import Answer, Question, fails, holds, skipped
from burnish.train.proofs.subject import GRADIENT_TOLERANCE, Step, Subject

_NAMED = 3
_CUT = ("does not require grad", "None of the inputs have requires_grad=True")
"""Words of torch where no gradient can reach a weight."""
_EXPERT = re.compile(r"(?<=experts)\.\d+\.")
"""The number of an expert with weights of its own; stacked ones are one weight."""
_OF_ADAPTERS = (".lora_", ".modules_to_save.", ".trainable_tokens", f".{HEAD}.", f".{value_head.HEAD}.")


def shift(subject: Subject) -> Answer:
    ours = subject.own_losses
    if len(ours) != len(subject.plain_losses):
        return fails(f"{len(ours)} tokens are learned, where the rows have {len(subject.plain_losses)}")
    return subject.compare(
        ours, subject.plain_losses, "losses of learned tokens, and transformers' own, token by token"
    )


def twin(subject: Subject) -> Answer:
    expected, gradient = _plain_step(subject)
    found = subject.in_one
    ours, theirs = subject.with_scale(found.loss), subject.with_scale(expected)
    answer = subject.compare(ours, theirs, "the loss, and that of the plain twin")
    if answer.verdict == "does not hold":
        return answer
    where = "the gradient, and that of transformers' forward with torch's cross-entropy"
    return subject.compare(found.gradient, gradient, where, GRADIENT_TOLERANCE)


def _plain_step(subject: Subject) -> tuple[float, Tensor]:
    batch = make_batch(subject.sample.rows, subject.every, subject.device)  # no prompt is shared
    weights = [subject.trained[name] for name in subject.compared]
    with evaluating(subject.model), subject.plain() as plain:
        loss = subject.objective.score(plain, batch, subject.whole).loss
        found = torch.autograd.grad(loss, weights, allow_unused=True)
        subject.keep_plain_losses(plain.kept)
    return float(loss.detach()), subject.flat(dict(zip(subject.compared, found, strict=True)))


def reached(subject: Subject) -> Answer:
    if set(subject.trained) != set(subject.passes.optimizer.masters):
        return fails("the optimizer does not have exactly the trained weights")
    if hasattr(subject.model, "peft_config"):
        others = [name for name in subject.trained if not any(part in name for part in _OF_ADAPTERS)]
        if others:
            return fails(f"{len(others)} trained weights are not part of the adapter and would be lost: {others[0]}")
    try:
        found = _driven(subject, subject.sample.rows)
    except (RuntimeError, UserWarning) as error:
        if not any(words in str(error) for words in _CUT):
            raise
        return fails("the loss has no gradient: the graph from the trained weights to it is cut")
    if found.frozen:
        return fails(f"{len(found.frozen)} frozen weights have a gradient, such as {found.frozen[0]}")
    missed = [name for name, has in found.reached.items() if not has]
    optional = _unused(subject, found, subject.sample.rows)
    experts = [name for name in missed if name in optional and _EXPERT.search(name)]
    missed = [name for name in missed if name not in optional]
    if missed:
        names = ", ".join(missed[:_NAMED])
        return fails(f"{len(missed)} of {len(found.reached)} trained weights have no gradient: {names}")
    note = f"; {len(experts)} weights of experts were not used by these rows" if experts else ""
    return holds(f"{len(found.reached) - len(experts)} trained weights have a gradient, no frozen one{note}")


def stuck(subject: Subject) -> Answer:
    if subject.is_started:
        return skipped("the training is resumed")
    zero = [name for name, weight in subject.trained.items() if not bool(weight.any())]
    if not zero:
        return skipped("no trained weight is zero")
    rows = subject.sample.rows.first(1)
    found = _driven(subject, rows)
    optional = _unused(subject, found, rows)
    missed = [name for name in zero if not found.reached.get(name)]
    unused = [name for name in missed if name in optional]
    if len(missed) > len(unused):
        name = next(name for name in missed if name not in optional)
        return fails(f"{len(missed) - len(unused)} weights are zero and have no gradient, so they stay zero: {name}")
    note = f"; {len(unused)} are not used by these rows" if unused else ""
    return holds(f"{len(zero) - len(unused)} trained weights that are zero have a gradient{note}")


def _unused(subject: Subject, found: Step, rows: TokenisedRows) -> frozenset[str]:
    """Trained weights that these rows need not reach: new tokens that they lack, and experts beside ones they reach."""
    names = set[str]()
    if not _use_trained_tokens(subject, rows):
        names |= {name for name in found.reached if "trainable_tokens" in name}
    experts: dict[str, list[str]] = {}
    for name in found.reached:
        if _EXPERT.search(name):
            experts.setdefault(_EXPERT.sub(".", name), []).append(name)
    for same in experts.values():
        if any(found.reached[name] for name in same):
            names.update(same)
    return frozenset(names)


def _use_trained_tokens(subject: Subject, rows: TokenisedRows) -> bool:
    """Whether a token whose embedding is trained stands before a learned one."""
    configs: Any = getattr(subject.model, "peft_config", {})
    trained = [number for config in configs.values() for number in tokens_of(config.to_dict())]
    for span in (span for row in range(len(rows)) for span in rows.spans(row)):
        learned = np.flatnonzero(rows.weights[span])
        if len(learned) and np.isin(rows.ids[span][: learned[-1]], trained).any():
            return True
    return False


def _driven(subject: Subject, rows: TokenisedRows) -> Step:
    """A step whose loss has a slope at every learned token; that of the objective may be 0 where it is satisfied."""
    return subject.step(rows, 1 << 30, training=True, objective=_Driving(subject.objective))


class _Driving(Separable):
    """The mean loss of learned tokens, with their values if there are any, or of a reward model the mean score of its
    answers."""

    def __init__(self, objective: Any):
        self._scores, self._values = isinstance(objective, Reward), isinstance(objective, Ppo)

    def score(self, forward: Forward, batch: Batch, whole: Whole) -> Scored:
        if self._scores:
            loss = scores_of(forward, batch).sum() / (batch.width * whole.divisor)
        elif self._values:
            log_probs, values = log_probs_and_values(forward, batch, 1.0)
            loss = (values - log_probs).sum() / sum(whole.learned)
        else:
            loss = forward.token_losses(batch).sum() / sum(whole.learned)
        rows = len(batch.rows)
        return Scored(loss, loss.detach().expand(rows), no_metrics(loss), no_row_values(loss, rows))


AT_START = (
    Question(
        "first step",
        "Do weights that start at zero have a gradient?",
        "report this as a bug: the adapter would never change",
        stuck,
        at_start=True,
    ),
)
QUESTIONS = (
    Question(
        "plain twin",
        "Do the fast kernels give the loss and the gradient of transformers and torch?",
        "set attention: sdpa, and report this as a bug",
        twin,
    ),
    Question(
        "shift",
        "Does the loss of position t belong to token t + 1, as in transformers?",
        "set attention: sdpa, and report this as a bug",
        shift,
    ),
    Question(
        "reached",
        "Does the gradient reach every trained weight and no frozen one?",
        "train fewer modules: freeze or leave out those that are named",
        reached,
    ),
)
