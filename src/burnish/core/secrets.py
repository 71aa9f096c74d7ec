"""Keep secrets out of everything that is written: values of secret-looking variables, and well-known key shapes."""

import os
import re
from collections.abc import Mapping
from typing import Any, TextIO, cast

_WORDS = r"api_?key|secret|passw(?:or)?d|hf_token|access_token|auth_token"
_NAMES = re.compile(rf"(?i)({_WORDS}|_token$|_key$)")
_KEYS = re.compile(rf"(?i)(?:{_WORDS})['\"]*$")
_SHAPES = re.compile(
    r"hf_[A-Za-z0-9]{20,}|gh[pousr]_[A-Za-z0-9]{20,}|\bsk-[A-Za-z0-9_-]{16,}|\bxox[bap]-[A-Za-z0-9-]{10,}"
)
_ASSIGNED = re.compile(rf"(?i)\b(\w*(?:{_WORDS}))(['\"]?\s*[:=]\s*)(['\"])[^'\"]+\3")
_IN_ADDRESS = re.compile(rf"(?i)([?&](?:token|key|\w*(?:{_WORDS}))=)[^&\s'\"]+")
_LOGIN = re.compile(r"(\w://)[^/\s'\"]+@")
_BEARER = re.compile(r"(?i)(bearer\s+)[\w.~+/-]{12,}")
MASK = "•••"


def mask(text: str) -> str:
    """The text with every secret replaced."""
    for name, value in os.environ.items():
        if len(value) >= 8 and _NAMES.search(name):
            text = text.replace(value, MASK)
    text = _SHAPES.sub(MASK, text)
    text = _ASSIGNED.sub(rf"\1\2\3{MASK}\3", text)
    for shape in (_IN_ADDRESS, _LOGIN, _BEARER):
        text = shape.sub(rf"\1{MASK}{'@' if shape is _LOGIN else ''}", text)
    return text


def masked_value(value: Any) -> Any:
    """The same JSON-like value with secrets replaced: in every text, and whole where a key is named like a secret."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, Mapping):
        return {
            key: MASK if member and isinstance(member, str) and names_a_secret(str(key)) else masked_value(member)
            for key, member in cast(Mapping[Any, Any], value).items()
        }
    if isinstance(value, list | tuple):
        return [masked_value(member) for member in cast(list[Any], value)]
    return value


def names_a_secret(name: str) -> bool:
    """Whether a variable or key of this name holds a secret."""
    return _KEYS.search(name) is not None


class _MaskedStream:
    """A text stream that masks what passes through it; everything else is the stream's own."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(mask(text))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def masked(stream: TextIO) -> TextIO:
    """A stream that writes to another, with secrets masked."""
    return cast(TextIO, _MaskedStream(stream))
