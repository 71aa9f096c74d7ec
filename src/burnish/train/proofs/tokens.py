"""Checks of the rows themselves: what is learned, where turns end, what starts a row."""

from itertools import pairwise

import numpy as np
import torch

from burnish.models.probing import evaluating
from burnish.train.objectives.reward import Reward
from burnish.train.proofs.question import Answer, Question, fails, holds, skipped, within
from burnish.train.proofs.subject import Subject

_ROWS = 512
_AFTER = 3
"""Tokens that a template may add after the one that ends a turn, such as a newline."""
_SHARE = 0.9
"""Of the turns that must end with a learned token; a template may leave some open."""


def unlearned(subject: Subject) -> Answer:
    """The last hidden state of a position feeds only the prediction of the next token; the last one's, the score."""
    worst, tokens, rows = 0.0, 0, subject.sample.rows
    with evaluating(subject.model):
        for batch in subject.batches():
            with subject.watched_states() as outputs:
                loss = subject.objective.score(subject.scorer, batch, subject.whole).loss
            states = [found for found in outputs if found.requires_grad and len(found) == batch.tokens]
            if not states:  # only the logits of learned tokens were computed
                continue
            learned = torch.zeros(batch.tokens, dtype=torch.bool)
            if isinstance(subject.objective, Reward):
                learned[batch.last.cpu()] = True
            else:
                place = torch.arange(batch.tokens) if batch.gather is None else batch.gather.cpu()
                spans = [span for row in batch.rows.tolist() for span in rows.spans(row)]
                for span, (start, end) in zip(spans, pairwise(batch.bounds), strict=True):
                    learned[place[start : end - 1]] |= torch.from_numpy(rows.weights[span][1:] != 0)
            for gradient in torch.autograd.grad(loss, states):
                rest = gradient.float().norm(dim=-1).cpu()[~learned]  # [T - learned]
                worst, tokens = max(worst, float(rest.max()) if len(rest) else 0.0), tokens + len(rest)
    if not tokens:
        return skipped("only the outputs of learned tokens are computed, or there are no others")
    return within(worst, 0.0, f"the gradient at {tokens} tokens that are not learned")


def ends(subject: Subject) -> Answer:
    stops, rows, longest = subject.stop_ids, subject.rows, subject.spec.render.max_length
    if subject.drawn is not None:
        return skipped("the rows are sampled: see `completions`")
    if not stops:
        return skipped("the tokenizer has no token that ends a turn" if subject.tokenizer else "there is no tokenizer")
    turns = ended = 0
    for row in subject.visited[:_ROWS].tolist():
        for span in rows.spans(row):
            ids, learned = rows.ids[span], rows.weights[span] != 0
            is_cut = longest is not None and len(ids) >= longest
            for at in np.flatnonzero(learned & ~np.append(learned[1:], False)).tolist():
                if at + 1 < len(ids) or not is_cut:
                    turns, ended = turns + 1, ended + any(token in stops for token in ids[max(0, at - _AFTER) : at + 1])
    if not turns:
        return skipped("every learned turn is cut by render.max_length")
    names = " or ".join(subject.tokenizer.convert_ids_to_tokens(sorted(stops)))
    found = f"{ended} of {turns} learned turns end with a learned {names}"
    return holds(found) if ended >= _SHARE * turns else fails(found, ended / turns, _SHARE)


def one_start(subject: Subject) -> Answer:
    bos = getattr(subject.tokenizer, "bos_token_id", None)
    if bos is None:
        return skipped("the tokenizer has no token that starts a text")
    rows = subject.rows
    for row in subject.visited[:_ROWS].tolist():
        for span in rows.spans(row):
            ids = rows.ids[span]
            if len(ids) > 1 and ids[0] == bos and ids[1] == bos:
                return fails(f"row {rows.row_ids[row]} starts with two {subject.tokenizer.bos_token}")
    return holds(f"no row starts with two {subject.tokenizer.bos_token}")


AT_START = (
    Question(
        "turn ends",
        "Is the token that ends a turn learned?",
        "check the chat template with `burnish inspect`; a tokenizer whose padding token ends a turn must not mask it",
        ends,
        at_start=True,
    ),
    Question(
        "one start token",
        "Does a row start with one start token?",
        "remove the start token from the chat template or from the tokenizer",
        one_start,
        at_start=True,
    ),
)
QUESTIONS = (
    Question(
        "unlearned tokens",
        "Do tokens that are not learned give no gradient?",
        "report this as a bug",
        unlearned,
    ),
)
