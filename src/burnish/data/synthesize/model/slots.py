"""What is asked for: slots, each of which becomes a row or is refused; and the rows that they start from."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from burnish.data.document import Message, Row

Tool = dict[str, Any]


@dataclass(frozen=True)
class Slot:
    """One row to make; everything about its requests follows from it."""

    number: int
    """From 0, over the whole step."""
    language: str
    topic: str = ""
    given: Row | None = None
    """The row that it starts from."""
    examples: Sequence[Row] = ()
    tools: Sequence[Tool] = ()


@dataclass(frozen=True)
class Draft:
    """A row that a reply made: `content` are arguments of `make_row`."""

    slot: Slot
    kind: str
    content: Mapping[str, Any]
    prompt: str
    """What the user says first, to find near duplicates."""
    answer: str
    """What a judge reads beside the prompt."""
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Refused:
    """A slot without a row: `reason` is for counts, `why` for people."""

    slot: Slot
    reason: str
    why: str = ""


@dataclass(frozen=True)
class Series:
    """All slots of a step, in their order: languages, topics and given rows in turn, examples by chance."""

    languages: Sequence[str]
    topics: Mapping[str, Sequence[str]]
    """By language; "" stands for any."""
    given: Sequence[Row] = ()
    starts_from_given: bool = False
    examples: int = 0
    tools: Mapping[tuple[str, str], Sequence[Tool]] = field(default_factory=dict[tuple[str, str], Sequence[Tool]])
    """By language and topic."""
    seed: int = 0

    def slots(self, first: int, count: int) -> Iterator[Slot]:
        """Slots `first` to `first + count`, each a function of its number."""
        for number in range(first, first + count):
            turn, place = divmod(number, len(self.languages))
            language = self.languages[place]
            topics = self.topics[language]
            topic = topics[turn % len(topics)]
            yield Slot(
                number,
                language,
                topic,
                given=self.given[number % len(self.given)] if self.starts_from_given else None,
                examples=self._examples(number),
                tools=self.tools.get((language, topic), ()),
            )

    def _examples(self, number: int) -> list[Row]:
        if self.starts_from_given or not self.given or not self.examples:
            return []
        return Random(f"{self.seed}/{number}").sample(self.given, min(self.examples, len(self.given)))


def prompt_turns(row: Row) -> list[Message]:
    """The turns of a row before its last answer; a text is what a user says."""
    if row["kind"] == "text":
        return [{"role": "user", "content": row["text"]}]
    turns = list(row["messages"])
    while turns and turns[-1]["role"] == "assistant":
        turns.pop()
    return turns


def last_request(row: Row) -> str:
    """What the user says last; "" if nobody asks."""
    asked = [turn["content"] for turn in prompt_turns(row) if turn["role"] == "user"]
    return asked[-1] if asked else ""


def first_request(turns: Sequence[Mapping[str, Any]]) -> str:
    """What the user says first."""
    return next((str(turn["content"]) for turn in turns if turn["role"] == "user"), "")
