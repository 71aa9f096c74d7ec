"""Checks of batches: rows packed, alone and split in any way give the same numbers."""

import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from burnish.models.probing import beyond, boundaries, distance
from burnish.tokens.tokenised import TokenisedRows
from burnish.train.dropout import generator_states
from burnish.train.proofs.question import Answer, Question, fails, holds, skipped, within
from burnish.train.proofs.subject import GRADIENT_TOLERANCE, Step, Subject

_LONGEST = 1024
_RANDOM = re.compile("drop|jitter|noise")
"""In the names of settings of a model that make it random in train mode."""


def packed(subject: Subject) -> Answer:
    rows = subject.sample.rows
    if subject.scorer.one_by_one:
        return skipped(f"rows are computed one at a time: {subject.scorer.reason or 'attention is not varlen'}")
    if len(rows) * rows.width < 2:
        return skipped("there is only one row")
    together = subject.own_losses
    alone = replace(rows, width=1, values={}, row_ids=tuple(map(str, range(len(rows) * rows.width))))
    apart = subject.losses([subject.batch(alone, np.array([place])) for place in range(len(alone))])
    return subject.compare(together, apart, "losses of the learned tokens, packed and alone")


def positions(subject: Subject) -> Answer:
    for batch in subject.batches():
        gather = batch.gather if batch.gather is not None else torch.arange(batch.tokens, device=subject.device)
        whole = batch.position_ids[0][gather]
        for start, end in pairwise(batch.bounds):
            if whole[start:end].tolist() != list(range(end - start)):
                return fails("the positions of a packed sequence do not count from 0")
    return holds("the positions of each sequence count from 0")


def split(subject: Subject) -> Answer:
    rows = subject.sample.rows
    is_parted = len(rows) < 2 and rows.width > 1 and subject.drawn is not None
    if is_parted:  # its completions need not be computed together
        rows = rows.apart()
    if len(rows) < 2:
        return skipped("there is only one row")
    may_draw = _may_draw(subject)
    training = not (may_draw and _draws(subject))
    whole = subject.step(rows, 1 << 30, training) if may_draw or is_parted else subject.in_one
    apart = subject.step(rows, int(rows.lengths.max()), training)
    where = "losses, metrics and gradient in one micro-batch and in several" + ("" if training else ", without dropout")
    return compare_steps(subject, apart, whole, where)


def compare_steps(subject: Subject, ours: Step, theirs: Step, where: str) -> Answer:
    """Holds if two ways of a step have the same loss, metrics, losses of rows and gradient."""
    if len(ours.row_losses) != len(theirs.row_losses):
        return fails(f"{where}: a step has {len(ours.row_losses)} rows, and {len(theirs.row_losses)}")
    found, expected = (torch.tensor([step.loss, *step.metrics, *step.row_losses]) for step in (ours, theirs))
    neither = found.isnan() & expected.isnan()  # a metric that these rows do not have, which is not logged
    answer = subject.compare(found[~neither], expected[~neither], where)
    if answer.verdict == "does not hold":
        return answer
    return subject.compare(ours.gradient, theirs.gradient, where, GRADIENT_TOLERANCE)


def row_losses(subject: Subject) -> Answer:
    rows, found = subject.sample.rows, subject.in_one
    weights = subject.objective.row_weights(rows, subject.every)
    mean = float((found.row_losses * weights).sum() / weights.sum())
    share = distance(subject.with_scale(mean), subject.with_scale(found.loss))
    return within(share, 1e-3, "the mean of the rows' losses, and the loss")


def window(subject: Subject) -> Answer:
    limits = boundaries(subject.scorer.causal.config)
    longest = int(subject.rows.sequence_lengths.max())
    crossed = {name: limit for name, limit in limits.items() if limit < longest}
    if not crossed:
        return skipped("no row is longer than a window of the model" if limits else "the model has no window")
    name, limit = max(crossed.items(), key=lambda item: item[1])
    length = beyond(limit)
    if length > _LONGEST or length * subject.parameters > 4e11:
        return skipped(f"not checked: rows are longer than its {name} ({limit}), which takes too long")
    ids = subject.sample.rows.ids
    ids = ids.repeat(-(-length // len(ids)))[:length]
    weights = (ids * 0 + 1).astype("float32")
    rows = TokenisedRows.of_groups([("long", [(ids, weights)]), ("short", [(ids[:20], weights[:20])])])
    with subject.in_evaluation(rows) as twin:
        expected = twin.all_losses()
    return subject.compare(subject.losses(subject.batches(rows)), expected, f"losses beyond its {name} ({limit})")


def _may_draw(subject: Subject) -> bool:
    """Whether anything in the model or the training is random in train mode; otherwise it is as eval mode."""
    if any(isinstance(module, nn.Dropout) and module.p > 0 for module in subject.model.modules()):
        return True
    settings = subject.scorer.causal.config.get_text_config().to_dict().items()
    named = any(_RANDOM.search(name) and isinstance(value, float) and value > 0 for name, value in settings)
    return named or getattr(subject.settings, "neftune_alpha", None) is not None


def _draws(subject: Subject) -> bool:
    """Whether a pass in training draws random numbers of its own, as dropout inside attention does."""
    before = generator_states(subject.device)
    subject.model.train()
    with torch.no_grad():
        for batch in subject.batches():
            subject.passes.begin(batch)
            subject.scorer.token_losses(batch)
    after = generator_states(subject.device)
    return not all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


QUESTIONS = (
    Question("positions", "Do the positions of each packed sequence count from 0?", "report this as a bug", positions),
    Question("row losses", "Is the loss of a step the mean of the rows' losses?", "report this as a bug", row_losses),
    Question(
        "packed",
        "Does a packed batch give each row the losses that it has alone?",
        "set attention: sdpa, which computes one row at a time",
        packed,
    ),
    Question("window", "Do rows beyond a window see as far as in transformers?", "set attention: sdpa", window),
    Question(
        "micro-batches",
        "Is the gradient of a step the same for every split into micro-batches?",
        "set micro_batch_tokens to the tokens of the longest row, and report this as a bug",
        split,
    ),
)
