"""Texts in the arguments of tool calls, at any depth of a row: personal data is there, too."""

import json
from collections.abc import Callable
from typing import Any

_ARGUMENTS = frozenset(("arguments", "args", "input", "json", "functionResponse"))
"""Keys of calls and of their results whose values are data, in which personal data may be."""


def rewritten_calls(value: Any, rewrite: Callable[[str], str]) -> bool:
    """Rewrite the texts in arguments of calls, at any depth of a column, in place; whether any is another now.

    Arguments may be an object, or an object as JSON text, which stays one.
    """
    is_changed = False
    if isinstance(value, list):
        for item in value:
            is_changed |= rewritten_calls(item, rewrite)
    elif isinstance(value, dict):
        for name, child in value.items():
            if name in _ARGUMENTS:
                value[name] = made = _arguments(child, rewrite)
                is_changed |= made != child
            else:
                is_changed |= rewritten_calls(child, rewrite)
    return is_changed


def texts_of_calls(value: Any) -> list[str]:
    """The texts that `rewritten_calls` rewrites."""
    found: list[str] = []

    def kept(text: str) -> str:
        found.append(text)
        return text

    rewritten_calls(value, kept)
    return found


def _arguments(value: Any, rewrite: Callable[[str], str]) -> Any:
    """Arguments with their texts rewritten; numbers and names stay."""
    if isinstance(value, str):
        if value.lstrip().startswith(("{", "[")):
            try:
                inner = json.loads(value)
            except ValueError:
                return rewrite(value)
            made = _arguments(inner, rewrite)
            return value if made == inner else json.dumps(made, ensure_ascii=False)
        return rewrite(value)
    if isinstance(value, list):
        return [_arguments(item, rewrite) for item in value]
    if isinstance(value, dict):
        return {name: _arguments(child, rewrite) for name, child in value.items()}
    return value
