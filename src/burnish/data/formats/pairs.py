"""A question and its answer in two columns: one table of the names in use."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from burnish.data.document import Message
from burnish.data.formats.columns import BLANK_COLUMN, CONVERSATIONS, Columns, Raw, is_content
from burnish.data.formats.format import Format
from burnish.data.record import RowError, kind_of


@dataclass(frozen=True)
class Pair:
    """Two columns, and the optional columns whose text goes above or below the question."""

    name: str
    asks: str
    answers: str
    above: tuple[str, ...] = ()
    below: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    """Columns that make it another layout."""

    def fits(self, raw: Raw) -> str:
        if not self.holds(raw) or has_choices(raw) or _is_repeated(raw, self.asks):
            return ""
        more = "".join(f", with {name}" for name in (*self.above, *self.below) if name in raw)
        return f"{self.asks} and {self.answers}{more}"

    def holds(self, raw: Raw) -> bool:
        return (
            is_content(raw.get(self.asks))
            and is_content(raw.get(self.answers))
            and not any(name in raw for name in self.without)
        )

    def question(self, columns: Columns) -> list[Message]:
        """The history, and the question with the texts above and below it."""
        above, below = _texts(columns, self.above), _texts(columns, self.below)
        # as LLaMA-Factory joins them, what stands below an empty question is the question
        unasked = bool(below) and _is_blank(columns.take(self.asks))
        messages: list[Message] = (
            [{"role": "user", "content": ""}] if unasked else columns.turns_from(self.asks, "user")
        )
        if above or below:
            if len(messages) > 1:
                name = next(name for name in (*self.above, *self.below) if columns.raw.get(name))
                raise RowError(name, f"the column belongs to the question, but '{self.asks}' holds several turns")
            text = "\n".join(part for part in ("\n\n".join([*above, messages[0]["content"]]), *below) if part)
            messages = [messages[0] | {"content": text}]
        return [*columns.history(), *messages]

    def answer(self, columns: Columns) -> list[Message]:
        return columns.turns_from(self.answers, "assistant")

    def map(self, columns: Columns) -> dict[str, Any]:
        return {"kind": "chat", "messages": [*self.question(columns), *self.answer(columns)]}


PAIRS = (
    Pair("alpaca", "instruction", "output", below=("input", "context")),
    Pair("instruction_response", "instruction", "response", below=("input", "context")),
    Pair("input_output", "input", "output", without=("instruction",)),
    Pair("prompt_completion", "prompt", "completion"),
    Pair("prompt_response", "prompt", "response"),
    Pair("prompt_answer", "prompt", "answer"),
    Pair("query_response", "query", "response"),
    Pair("question_answer", "question", "answer", above=("context",)),
    Pair("question_response", "question", "response", above=("context",)),
    Pair("problem_solution", "problem", "solution"),
)
FORMATS = tuple(Format(pair.name, ((pair.asks,), (pair.answers,)), pair.fits, pair.map) for pair in PAIRS)


def pair_in(raw: Raw) -> Pair | None:
    """The first pair whose columns a row has."""
    return next((pair for pair in PAIRS if pair.holds(raw)), None)


def has_choices(raw: Raw) -> bool:
    """A multiple-choice question, which needs its choices."""
    return any(isinstance(raw.get(name), list | dict) for name in ("choices", "options"))


def prompt_turns(columns: Columns) -> list[Message]:
    """The turns before an answer, from the first column that has them; empty without one."""
    if messages := columns.conversation():
        return messages
    if isinstance(columns.raw.get("input"), dict):
        value = columns.within("input", ("messages",))
        return columns.turns_of(value.get("messages"), "input.messages")
    return next((pair.question(columns) for pair in _by_question(columns)), [])


def _by_question(columns: Columns) -> Iterator[Pair]:
    return (pair for pair in PAIRS if columns.has(pair.asks))


def _is_repeated(raw: Raw, asks: str) -> bool:
    """The question is part of a conversation in the same row: the pair only repeats it."""
    said = raw.get(asks)
    turns = next((raw[name] for name in CONVERSATIONS if isinstance(raw.get(name), list)), [])
    texts = (turn.get(key) for turn in turns if isinstance(turn, dict) for key in ("content", "value"))
    return isinstance(said, str) and any(isinstance(text, str) and text.strip() == said.strip() for text in texts)


def _is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _texts(columns: Columns, names: tuple[str, ...]) -> list[str]:
    """The non-empty texts that belong to the question."""
    texts: list[str] = []
    for name in names:
        if not columns.has(name):
            continue
        if not isinstance(columns.raw[name], str | int | float):
            reason = f"the column belongs to the question and must be a text, not {kind_of(columns.raw[name])}"
            raise RowError(name, f"{reason}; to keep it out rename it with `columns: {{{name}: other_{name}}}`")
        text = columns.text(name, empty=True, numbers=True)
        if text.strip():
            texts.append(text)
        elif text:
            columns.remarks.append(BLANK_COLUMN.format(name))
    return texts
