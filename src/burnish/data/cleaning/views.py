"""Which strings of a row are its text: found in the columns that hold it, at any depth, each with its place."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from burnish.data.formats.turns import EXCHANGES

_TEXT = frozenset(
    [
        "content",
        "value",
        "text",
        "message",
        "messages",
        "parts",
        "reasoning_content",
        "reasoning",
        "thinking",
        "thought",
        "refusal",
        "toolResult",
        "answer",
        "response",
        "completion",
        "human",
        "assistant",
        "user",
        "system",
    ]
)
"""Keys of turns and their parts whose values are prose. Others are names, calls, media, dates."""
_TEXT_IF_STRING = frozenset(name for names in EXCHANGES for name in names)
"""Keys of an exchange; `input` of a call is an object."""
SEPARATOR = "\n\n"


class Place(NamedTuple):
    """A list or an object, the index or key of a string in it, and the number of the turn that it is of."""

    container: Any
    key: Any
    turn: int


def places(raw: dict[str, Any], columns: Sequence[str]) -> list[Place]:
    """The places of a row's texts, in the order of the columns and of what they hold."""
    found: list[Place] = []
    for column in columns:
        value = raw.get(column)
        if isinstance(value, str):
            found.append(Place(raw, column, len(found)))
        elif isinstance(value, list):
            for i in range(len(value)):
                found += _below(value, i, len(found))
        elif isinstance(value, dict):
            found += _below(raw, column, len(found))
    return found


def _below(container: Any, key: Any, turn: int) -> Iterator[Place]:
    value = container[key]
    if isinstance(value, str):
        yield Place(container, key, turn)
    elif isinstance(value, list):
        for i in range(len(value)):
            yield from _below(value, i, turn)
    elif isinstance(value, dict):
        for name in value:
            if name in _TEXT or (name in _TEXT_IF_STRING and isinstance(value[name], str)):
                yield from _below(value, name, turn)


def view(found: Sequence[Place]) -> str:
    """The texts of a row as one, a blank line between them."""
    return SEPARATOR.join([place.container[place.key] for place in found])


def rewritten(found: Sequence[Place], rewrite: Callable[[str], str]) -> tuple[bool, bool]:
    """Rewrite each text in its place: whether any is another now, and whether a turn that had text has none left."""
    is_changed, emptied = False, set[int]()
    for container, key, turn in found:
        text = container[key]
        made = rewrite(text)
        if made is not text and made != text:
            container[key] = made
            is_changed = True
            if not made.strip() and text.strip():
                emptied.add(turn)
    if emptied:
        emptied -= {place.turn for place in found if place.container[place.key].strip()}
    return is_changed, bool(emptied)
