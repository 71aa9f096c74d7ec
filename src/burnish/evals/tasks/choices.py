"""Multiple choice by likelihood: which of a row's choices a model finds the most likely after its prompt.

    acc         the choice with the highest Σ ln p of its tokens is right
    acc_norm    the same for Σ ln p / UTF-8 bytes, which does not favour short choices

With letters, the choices are written below the question, and the most likely of the next tokens A, B, … is the answer,
as in MMLU. The tokens of a choice are those of its own text, without special tokens.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from burnish.core.errors import DataError
from burnish.core.printable import encodable
from burnish.evals.measure import NO_PROMPT, NO_ROOM, Asked, Item
from burnish.evals.scoring.columns import column_of
from burnish.evals.scoring.scorers import Row, Score, Unscored, answering_turn
from burnish.evals.tasks.continuations import continuations
from burnish.evals.tasks.gold import LETTERS, Choices, choices_in, right_of
from burnish.models.engines.protocol import Engine
from burnish.specs.evals import MultipleChoiceSpec
from burnish.tokens.rendering.renderer import Renderer


@dataclass(frozen=True)
class MultipleChoice:
    """A scorer of choices; `name` begins the names of its scores."""

    name: str
    choices: str
    answer: str | None
    has_letters: bool

    @property
    def scores(self) -> list[str]:
        """The names of its scores."""
        return [self.name] if self.has_letters else [self.name, f"{self.name}_norm"]


@dataclass(frozen=True)
class Question:
    """The choices of a row, and the place of the right one."""

    choices: Sequence[str]
    right: int


def build_choices(specs: Sequence[MultipleChoiceSpec]) -> list[MultipleChoice]:
    """The scorers of the specs, with unique names: a second `multiple_choice` is `multiple_choice_2`."""
    return [
        MultipleChoice(
            name="multiple_choice" if number == 1 else f"multiple_choice_{number}",
            choices=spec.choices,
            answer=spec.answer,
            has_letters=spec.letters,
        )
        for number, spec in enumerate(specs, 1)
    ]


def score_choices(
    engine: Engine,
    renderer: Renderer,
    rows: Sequence[Row],
    items: Sequence[Item],
    scorer: MultipleChoice,
    *,
    context: int,
    tick: Callable[[str, int, int], None],
) -> None:
    """Store the scores of a scorer in the items. Errors: DataError `data.missing-column` if no row has its columns;
    AskError `ask.wrong-value` if the answers are indices that start at 1."""
    found = _questions(scorer, rows)
    if rows and all(isinstance(question, _MissingColumn) for question in found):
        assert isinstance(found[0], _MissingColumn)
        raise found[0].error
    pairs, owners = list[tuple[list[int], list[int]]](), list[tuple[int, int]]()
    prompts: dict[int, str] = {}
    for place, (row, item, question) in enumerate(zip(rows, items, found, strict=True)):
        asked = question if isinstance(question, Question) else None
        why = "" if asked else question.why if isinstance(question, Unscored) else question.error.what  # pyright: ignore
        if asked is not None:
            prompts[place], ids = renderer.prompt(_lettered(row, asked) if scorer.has_letters else row)
            shown = LETTERS[: len(asked.choices)] if scorer.has_letters else asked.choices
            tokens = [renderer.tokenizer.encode(text, add_special_tokens=False) for text in shown]
            if all(tokens) and len(ids) + max(map(len, tokens)) <= context + 1:
                pairs += [(ids, each) for each in tokens]
                owners += [(place, choice) for choice in range(len(tokens))]
                continue
            why = NO_ROOM if all(tokens) else "a choice has no tokens"
        item.scores |= {name: Unscored(encodable(why)) for name in scorer.scores}
    log_probs: dict[int, dict[int, float]] = {}
    for done, (place, continuation) in enumerate(continuations(engine, pairs, context)):
        if done % 64 == 0:
            tick(scorer.name, done, len(pairs))
        row, choice = owners[place]
        log_probs.setdefault(row, {})[choice] = continuation.log_prob
    tick(scorer.name, len(pairs), len(pairs))
    for place, values in log_probs.items():
        question = found[place]
        assert isinstance(question, Question)
        _score(scorer, items[place], prompts[place], question, [values[choice] for choice in range(len(values))])


def _score(scorer: MultipleChoice, item: Item, prompt: str, question: Question, log_probs: Sequence[float]) -> None:
    found = {scorer.name: ("ln p", list(log_probs))}
    if not scorer.has_letters:
        lengths = [len(choice.encode()) for choice in question.choices]
        normed = [value / length for value, length in zip(log_probs, lengths, strict=True)]
        found[f"{scorer.name}_norm"] = "ln p per byte", normed
    texts = LETTERS[: len(question.choices)] if scorer.has_letters else question.choices
    for name, (measure, values) in found.items():
        best = max(range(len(values)), key=values.__getitem__)
        shown = [f"{LETTERS[place]} {value:.3f}" for place, value in enumerate(values)]
        item.scores[name] = Score(float(best == question.right), f"{measure}: {', '.join(shown)}")
        _keep(item, name, Asked(prompt, texts[question.right], texts[best]))


def _keep(item: Item, name: str, asked: Asked) -> None:
    """Show what a score was computed from as that of the row, or under the score if the row shows that of another."""
    if not item.prompt:
        item.prompt, item.reference, item.answer = asked.prompt, asked.reference, asked.answer
    elif asked != Asked(item.prompt, item.reference, item.answer):
        item.asked[name] = asked


@dataclass(frozen=True)
class _MissingColumn:
    error: DataError


def _questions(scorer: MultipleChoice, rows: Sequence[Row]) -> "list[Question | Unscored | _MissingColumn]":
    """Of each row. Errors: AskError `ask.wrong-value` for indices that start at 1."""
    found = [_asked(scorer, row) for row in rows]
    asked = [one for one in found if isinstance(one, tuple)]
    column = "the last turns" if scorer.answer is None else f"the column '{scorer.answer}'"
    places = iter(right_of(asked, column))
    return [_placed(one[1], next(places)) if isinstance(one, tuple) else one for one in found]


def _placed(choices: Choices, place: int | str) -> Question | Unscored:
    return Unscored(place) if isinstance(place, str) else Question(choices.texts, place)


def _asked(scorer: MultipleChoice, row: Row) -> "tuple[Any, Choices] | Unscored | _MissingColumn":
    """The answer and the choices of a row, or why it has none."""
    if not row.get("messages"):
        return Unscored(NO_PROMPT)
    try:
        given, answer = column_of(row, scorer.choices), _answer(scorer, row)
    except DataError as error:
        return _MissingColumn(error)
    choices = choices_in(given)
    if choices is None or not 2 <= len(choices.texts) <= len(LETTERS):
        return Unscored(f"the column '{scorer.choices}' is not a list of 2 to {len(LETTERS)} texts")
    return Unscored("the row has no answer") if answer is None else (answer, choices)


def _answer(scorer: MultipleChoice, row: Row) -> Any:
    if scorer.answer is not None:
        return column_of(row, scorer.answer)
    turn = answering_turn(row)
    return None if turn is None else turn.get("content")


def _lettered(row: Row, question: Question) -> Row:
    """The row with the choices below its last question."""
    turns = [dict(turn) for turn in row["messages"]]
    last = max((place for place, turn in enumerate(turns) if turn["role"] == "user"), default=None)
    if last is not None:
        lines = [f"{letter}. {choice}" for letter, choice in zip(LETTERS, question.choices, strict=False)]
        turns[last]["content"] = "\n".join([str(turns[last].get("content") or ""), *lines, "Answer:"])
    return {**row, "messages": turns}
