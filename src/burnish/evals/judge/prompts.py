"""The text of a request to a judge: templates with placeholders, and conversations as text."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from burnish.evals.scoring.columns import value_of

_PLACEHOLDER = re.compile(r"\{([\w.-]+)\}")


def filled(template: str, values: Mapping[str, str], row: Mapping[str, Any]) -> str:
    """A template with the values of its placeholders, and of {extra.COLUMN} those of the row's columns.

    One pass, so that a placeholder in a value is not replaced. Other braces are kept. {mark} is a word that depends on
    all values, so that none of them can hold it: headings with it cannot be forged.
    Errors: DataError `data.missing-column` if the row lacks a column.
    """

    mark = hashlib.sha256(json.dumps([template, dict(values)]).encode()).hexdigest()[:8]

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if name == "mark":
            return mark
        if name in values:
            return values[name]
        return as_text(value_of(row, name.removeprefix("extra."))) if name.startswith("extra.") else found[0]

    return _PLACEHOLDER.sub(value, template)


def as_text(value: Any) -> str:
    """A text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def conversation_text(messages: Sequence[Mapping[str, Any]]) -> str:
    """Messages as text: one user turn as it is, several with their roles."""
    if len(messages) == 1 and messages[0]["role"] == "user":
        return str(messages[0]["content"])
    return "\n\n".join(f"{turn['role'].capitalize()}: {_turn_text(turn)}" for turn in messages)


def _turn_text(turn: Mapping[str, Any]) -> str:
    calls = [call.get("function", call) for call in turn.get("tool_calls") or ()]
    return "\n".join([turn["content"], *(json.dumps(call, ensure_ascii=False) for call in calls)]).strip()
