"""Keep secrets out of everything that is written: values of secret-looking variables, and well-known key shapes."""

import os
import re
from typing import TextIO, cast

_NAMES = re.compile(r"(?i)(api_?key|secret|passw(or)?d|hf_token|access_token|auth_token|_token$|_key$)")
_SHAPES = re.compile(
    r"\b(hf_[A-Za-z0-9]{20,}|sk-[A-Za-z0-9_-]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|xox[bap]-[A-Za-z0-9-]{10,})"
)
_ASSIGNED = re.compile(
    r"(?i)\b(\w*(?:api_?key|secret|passw(?:or)?d|hf_token|access_token|auth_token))(\W{1,4})(['\"])[^'\"]+\3"
)
MASK = "•••"


def mask(text: str) -> str:
    """The text with every secret replaced."""
    for name, value in os.environ.items():
        if len(value) >= 8 and _NAMES.search(name):
            text = text.replace(value, MASK)
    text = _SHAPES.sub(MASK, text)
    return _ASSIGNED.sub(rf"\1\2\3{MASK}\3", text)


class _MaskedStream:
    """A text stream that masks what passes through it."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(mask(text))
        return len(text)

    def flush(self) -> None:
        self._stream.flush()


def masked(stream: TextIO) -> TextIO:
    """A stream that writes to another, with secrets masked."""
    return cast(TextIO, _MaskedStream(stream))
