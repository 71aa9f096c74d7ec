"""The keys of a GGUF file, read without its tensors: sizes, tokenizer and chat template.

The format: `GGUF`, version, number of tensors and of keys, then each key with the type of its value, little-endian
(docs/gguf.md in ggml). Version 1 has other lengths and is refused.
"""

import mmap
import struct
from collections.abc import Collection
from pathlib import Path
from typing import Any

from burnish.core.errors import ModelError

CHAT_TEMPLATE = "tokenizer.chat_template"
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _LIST = 8, 9
_VERSIONS = (2, 3)


def gguf_file(path: Path) -> Path:
    """The GGUF file of an input of that kind: the path itself, or the only one in the folder."""
    return path if path.is_file() else next(iter(path.glob("*.gguf")), path)


def read_keys(path: Path, only: Collection[str] | None = None) -> dict[str, Any]:
    """The keys of a file by name, or those of `only`; lists are lists.

    Errors: ModelError `model.broken` for a file that is no GGUF file, is cut off, or has keys of an unknown type.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _Reader(content).keys(only)
    except (OSError, ValueError, struct.error) as error:
        why = "it is empty" if path.is_file() and not path.stat().st_size else str(error)
        what = f"{path}: the keys of the GGUF file cannot be read: {why}"
        raise ModelError("model.broken", what, "make or download the file again") from error


class _Reader:
    """Reads values one after another. Errors: ValueError, struct.error."""

    def __init__(self, content: mmap.mmap):
        self._content, self._place = content, 0

    def keys(self, only: Collection[str] | None) -> dict[str, Any]:
        if self._content[:4] != b"GGUF":
            raise ValueError("it does not start with GGUF")
        self._place = 4
        if (version := self._number("I")) not in _VERSIONS:
            raise ValueError(f"version {version} of the format is unknown")
        self._number("Q")
        found: dict[str, Any] = {}
        for _ in range(self._number("Q")):
            name = self._text()
            value = self._value(self._number("I"), is_kept=only is None or name in only)
            if only is None or name in only:
                found[name] = value
                if only is not None and len(found) == len(only):
                    break
        return found

    def _number(self, form: str) -> Any:
        [value] = struct.unpack_from(f"<{form}", self._content, self._place)
        self._place += struct.calcsize(form)
        return value

    def _text(self, is_kept: bool = True) -> str:
        length, start = self._number("Q"), self._place
        self._place += length
        if self._place > len(self._content):
            raise ValueError("it is cut off")
        return self._content[start : self._place].decode(errors="replace") if is_kept else ""

    def _value(self, kind: int, is_kept: bool) -> Any:
        if kind in _NUMBERS:
            return self._number(_NUMBERS[kind])
        if kind == _STRING:
            return self._text(is_kept)
        if kind != _LIST:
            raise ValueError(f"a key has the unknown type {kind}")
        inner, count = self._number("I"), self._number("Q")
        if inner == _LIST:
            raise ValueError("a key is a list of lists")
        if inner in _NUMBERS:
            form = f"<{count}{_NUMBERS[inner]}"
            start = self._place
            self._place += struct.calcsize(form)
            if self._place > len(self._content):
                raise ValueError("it is cut off")
            return list(struct.unpack_from(form, self._content, start)) if is_kept else []
        return [self._value(inner, is_kept) for _ in range(count)] if is_kept else self._skip(inner, count)

    def _skip(self, inner: int, count: int) -> list[Any]:
        for _ in range(count):
            self._value(inner, is_kept=False)
        return []
