"""Evaluate one model on all rows: its answers with their scores, and the likelihood of the learned tokens.

chat, preference, label, prompt rows   answered, from the turns before the last answer, with the model's template
the same and text rows                 measured for perplexity, if they have learned tokens
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from burnish.evals.likelihood import Likelihood
from burnish.evals.scoring.scorers import (
    Row,
    Score,
    Scorer,
    Unscored,
    answering_turn,
    opening,
    score_answer,
    scorers_for,
    visible,
)
from burnish.evals.timing import Timing
from burnish.models.engines.protocol import Engine
from burnish.specs.evals import GenerationSpec
from burnish.specs.tokens import RenderSpec, TrainOn

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from burnish.models.engines.llama.engine import LlamaEngine
    from burnish.tokens.rendering.renderer import Renderer

Tick = Callable[[str, int, int], None]
"""Called with (phase, rows done, total rows) between batches; it may raise to stop."""

_NO_LIMIT = 2**31 - 1
NO_PROMPT, NO_ROOM = "the row has no prompt", "the prompt fills the model's context"


@dataclass(frozen=True)
class Asked:
    """What a score was computed from."""

    prompt: str
    reference: str | None
    answer: str | None


@dataclass
class Item:
    """The result of one model on one row. `scores` is empty if nothing was generated."""

    prompt: str = ""
    reference: str | None = None
    answer: str | None = None
    finish_reason: str = ""
    scores: dict[str, Score | Unscored] = field(default_factory=dict)
    likelihood: Likelihood | None = None
    too_long: bool = False
    """Whether it exceeds the length limit and has no likelihood."""
    values: dict[str, float] = field(default_factory=dict)
    """Numbers that are no scores from 0 to 1, such as those of a reward model."""
    unanswered: str = ""
    """Why nothing was generated."""
    asked: dict[str, Asked] = field(default_factory=dict[str, Asked])
    """By name, the scores that were not computed from the prompt, reference and answer of the item."""
    answer_tokens: int | None = None
    """Of the answer, without the token that ended it; None if nothing was generated."""


def as_chat(row: Row) -> Row:
    """Add the answer as last turn: the chosen one of preference rows, a good completion of label rows."""
    if row["kind"] == "preference":
        return {**row, "kind": "chat", "messages": [*row["messages"], *row["chosen"]]}
    if row["kind"] == "label" and row["label"]:
        return {**row, "kind": "chat", "messages": [*row["messages"], *row["completion"]]}
    return row


def answer_rows(
    engine: Engine,
    renderer: "Renderer",
    rows: Sequence[Row],
    items: Sequence[Item],
    scorers: Sequence[Scorer],
    generation: GenerationSpec,
    *,
    context: int,
    tick: Tick,
    timing: Timing | None = None,
) -> None:
    """Answer every row with messages, score the answers, and store both in the row's item.

    Rows whose prompt has `context` tokens or more are unscored, since there is no space for an answer. `timing` gets
    the time of generation.
    """
    prompts: dict[int, Sequence[int]] = {}
    for index, (row, item) in enumerate(zip(rows, items, strict=True)):
        if not row.get("messages"):
            item.unanswered = NO_PROMPT
            item.scores = score_item(scorers, item, row)
            continue
        item.prompt, ids = renderer.prompt(row)
        item.reference = renderer.answer(row) if answering_turn(row) else None
        if len(ids) < context:
            prompts[index] = ids
        else:
            item.unanswered = NO_ROOM
            item.scores = score_item(scorers, item, row)
    timing = timing or Timing()
    progress = timing.reporting(lambda done, total: tick("answers", done, total))
    answers = engine.generate(list(prompts.values()), generation, renderer.stop_ids, progress)
    timing.tokens += sum(len(answer.ids) + (answer.end is not None) for answer in answers)
    for index, answer in zip(prompts, answers, strict=True):
        items[index].answer, items[index].finish_reason = answer.text, answer.finish_reason
        items[index].answer_tokens = len(answer.ids)
        items[index].scores = score_item(scorers, items[index], rows[index])


def score_item(scorers: Sequence[Scorer], item: Item, row: Row) -> dict[str, Score | Unscored]:
    """The scores of an answer; a row without one has the reason."""
    if item.answer is None:
        return {scorer.name: Unscored(item.unanswered) for scorer in scorers_for(row, scorers)}
    answer = visible(item.answer, opened=bool(opening(item.prompt)))
    reference = None if item.reference is None else visible(item.reference)
    return score_answer(scorers, answer, reference, row)


def measure_likelihoods(
    model: "PreTrainedModel | LlamaEngine",
    tokenizer: "PreTrainedTokenizerBase",
    rows: Sequence[Row],
    items: Sequence[Item],
    *,
    train_on: TrainOn,
    max_length: int,
    date: str = "auto",
    tick: Tick,
) -> None:
    """Store the likelihood of each row's learned tokens in its item.

    A text of more than `max_length` tokens is split as in training; a conversation of that length is marked too long.
    """
    from burnish.evals.perplexity import likelihoods  # imports torch
    from burnish.tokens.rendering.renderer import Renderer

    unsplit = Renderer(tokenizer, RenderSpec(train_on=train_on, max_length=_NO_LIMIT, date=date))
    splitting = Renderer(tokenizer, RenderSpec(max_length=max_length, over_length="split"))
    measured, rendered = [], []
    for index, row in enumerate(rows):
        if row["kind"] not in ("chat", "text"):
            continue
        pieces = (splitting if row["kind"] == "text" else unsplit).render(row)
        items[index].too_long = any(len(piece.ids) > max_length for piece in pieces)
        if not items[index].too_long:
            measured += [index] * len(pieces)
            rendered += pieces
    done = 0
    for position, likelihood in likelihoods(model, tokenizer, rendered):
        item = items[measured[position]]
        item.likelihood = likelihood if item.likelihood is None else item.likelihood + likelihood
        if done % 64 == 0:
            tick("perplexity", done, len(rendered))
        done += 1
    tick("perplexity", done, done)
