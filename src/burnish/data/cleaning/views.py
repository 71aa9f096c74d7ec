"""Which strings of a row are its text: found in the columns that hold it, at any depth, each with its place."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

_NO_TEXT = frozenset(
    ("role", "from", "name", "id", "type", "tool_call_id", "tool_calls", "function_call", "function", "arguments")
)
"""Keys of turns whose values are no prose: names, and arguments of calls."""
SEPARATOR = "\n\n"
Place = tuple[Any, Any]
"""A list or an object, and the index or key of a string in it."""


def places(raw: dict[str, Any], columns: Sequence[str]) -> list[Place]:
    """The places of a row's texts, in the order of the columns and of what they hold."""
    found: list[Place] = []
    for column in columns:
        if column in raw:
            found += _below(raw, column)
    return found


def _below(container: Any, key: Any) -> Iterator[Place]:
    value = container[key]
    if isinstance(value, str):
        yield container, key
    elif isinstance(value, list):
        for i in range(len(value)):
            yield from _below(value, i)
    elif isinstance(value, dict):
        for name in value:
            if name not in _NO_TEXT:
                yield from _below(value, name)


def view(found: Sequence[Place]) -> str:
    """The texts of a row as one, a blank line between them."""
    if len(found) == 1:
        container, key = found[0]
        return container[key]
    return SEPARATOR.join(container[key] for container, key in found)


def rewritten(found: Sequence[Place], rewrite: Callable[[str], str]) -> tuple[bool, bool]:
    """Rewrite each text in its place: whether any is another now, and whether one is left with nothing."""
    is_changed = is_emptied = False
    for container, key in found:
        text = container[key]
        made = rewrite(text)
        if made != text:
            container[key], is_changed = made, True
            is_emptied = is_emptied or (not made.strip() and bool(text.strip()))
    return is_changed, is_emptied
