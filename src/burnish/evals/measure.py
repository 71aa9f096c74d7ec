"""One model on all rows: its answers and their scores, and how likely it finds the learned tokens.

chat, preference, label, prompt rows   are answered: the turns before the last answer, by the model's template
the same and text rows                 are measured for perplexity, if they have something to learn
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from burnish.evals.perplexity import Likelihood, likelihoods
from burnish.evals.scoring.scorers import Row, Score, Scorer, Unscored, answering_turn, scorers_for, visible
from burnish.models.engines.protocol import Engine
from burnish.specs.evals import GenerationSpec
from burnish.specs.tokens import RenderSpec, TrainOn
from burnish.tokens.rendering.renderer import Renderer

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Tick = Callable[[str, int, int], None]
"""Told (phase, rows done, rows in all) between batches; it may raise to stop."""

_NO_LIMIT = 2**31 - 1
_NO_PROMPT = Unscored("the row has no prompt")
_NO_ROOM = Unscored("the prompt fills the model's context")


@dataclass
class Item:
    """What came of one row under one model. `scores` is empty where nothing was generated."""

    prompt: str = ""
    reference: str | None = None
    answer: str | None = None
    finish_reason: str = ""
    scores: dict[str, Score | Unscored] = field(default_factory=dict)
    likelihood: Likelihood | None = None
    too_long: bool = False
    """Longer than the limit, hence without a likelihood."""


def as_chat(row: Row) -> Row:
    """The row with its answer as last turn: of preference rows the chosen one, of label rows a good completion."""
    if row["kind"] == "preference":
        return {**row, "kind": "chat", "messages": [*row["messages"], *row["chosen"]]}
    if row["kind"] == "label" and row["label"]:
        return {**row, "kind": "chat", "messages": [*row["messages"], *row["completion"]]}
    return row


def answer_rows(
    engine: Engine,
    renderer: Renderer,
    rows: Sequence[Row],
    items: Sequence[Item],
    scorers: Sequence[Scorer],
    generation: GenerationSpec,
    *,
    context: int,
    tick: Tick,
) -> None:
    """Answer every row that has messages, score the answers, and note both in the row's item.

    A prompt of `context` tokens or more leaves no room for an answer: its row is unscored.
    """
    prompts: dict[int, Sequence[int]] = {}
    for index, (row, item) in enumerate(zip(rows, items, strict=True)):
        if not row.get("messages"):
            item.scores = _unscored(row, scorers, _NO_PROMPT)
            continue
        item.prompt, ids = renderer.prompt(row)
        item.reference = renderer.answer(row) if answering_turn(row) else None
        if len(ids) < context:
            prompts[index] = ids
        else:
            item.scores = _unscored(row, scorers, _NO_ROOM)
    answers = engine.generate(
        list(prompts.values()), generation, renderer.stop_ids, lambda done, total: tick("answers", done, total)
    )
    for index, answer in zip(prompts, answers, strict=True):
        items[index].answer, items[index].finish_reason = answer.text, answer.finish_reason
        items[index].scores = _scores(scorers, items[index], rows[index])


def _scores(scorers: Sequence[Scorer], item: Item, row: Row) -> dict[str, Score | Unscored]:
    answer = visible(item.answer or "")
    reference = None if item.reference is None else visible(item.reference)
    return {scorer.name: scorer(answer, reference, row) for scorer in scorers_for(row, scorers)}


def _unscored(row: Row, scorers: Sequence[Scorer], why: Unscored) -> dict[str, Score | Unscored]:
    return {scorer.name: why for scorer in scorers_for(row, scorers)}


def measure_likelihoods(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    rows: Sequence[Row],
    items: Sequence[Item],
    *,
    train_on: TrainOn,
    max_length: int,
    date: str = "auto",
    tick: Tick,
) -> None:
    """Note the likelihood of each row's learned tokens in its item.

    A text of more than `max_length` tokens is read in pieces, as training splits it; such a conversation is marked.
    """
    whole = Renderer(tokenizer, RenderSpec(train_on=train_on, max_length=_NO_LIMIT, date=date))
    in_pieces = Renderer(tokenizer, RenderSpec(max_length=max_length, over_length="split", date=date))
    measured, rendered = [], []
    for index, row in enumerate(rows):
        if row["kind"] not in ("chat", "text"):
            continue
        pieces = (in_pieces if row["kind"] == "text" else whole).render(row)
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
