"""Conversations written as one text: hh-rlhf's `Human: … Assistant: …` and openassistant-guanaco's `### Human: …`."""

import re
from typing import Any

from burnish.data.document import Message
from burnish.data.record import RowError

_START = re.compile(r"\s*(### ?)?Human:")
_PLAIN = re.compile(r"(?:^|\n\n)[ \t]*(Human|Assistant):[ \t]*")
_HASHED = re.compile(r"### ?(Human|Assistant):[ \t]*")
_ROLES = {"Human": "user", "Assistant": "assistant"}


def is_transcript(value: Any) -> bool:
    """A text that begins with `Human:` and holds an `Assistant:` after it."""
    if not isinstance(value, str) or "Assistant:" not in value or (start := _START.match(value)) is None:
        return False
    return any(found[1] == "Assistant" for found in _marks(start).finditer(value))


def transcribed(text: str, field: str) -> list[Message]:
    """The turns of a transcript; an empty `Assistant:` at its end, a prompt for the answer, is left out."""
    text = text.strip()
    start = _START.match(text)
    if start is None:
        raise RowError(field, "a transcript begins with 'Human:'")
    found = list(_marks(start).finditer(text))
    ends = [mark.start() for mark in found[1:]] + [len(text)]
    messages: list[Message] = [
        {"role": _ROLES[mark[1]], "content": text[mark.end() : end].strip()}
        for mark, end in zip(found, ends, strict=True)
    ]
    if messages[-1] == {"role": "assistant", "content": ""}:
        messages.pop()
    return messages


def _marks(start: re.Match[str]) -> re.Pattern[str]:
    return _HASHED if start[1] else _PLAIN
