"""JSON of one row, read strictly: whatever would be silently lost or changed is an error that names the field.

Python's own parser keeps every integer exact; on top of it, duplicate keys, NaN and Infinity, numbers too
large for a float, halves of surrogate pairs and endless nesting are refused.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import orjson

from burnish.data.record import RowError

MAX_DEPTH = 100
_PLAIN = frozenset((str, int, bool, type(None)))
_COLON_AFTER_QUOTE = re.compile(rb'"[ \t\r\n]*:')
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def parse(text: str) -> Any:
    """The value that `text` spells, or RowError."""
    check_characters(text)
    try:
        value = _decoder.decode(text)
    except json.JSONDecodeError as error:
        raise RowError("", f"invalid JSON: {error.msg} (character {error.pos + 1:,} of the row)") from None
    except RecursionError:
        raise RowError("", f"nested deeper than {MAX_DEPTH} levels") from None
    except RowError:
        raise
    except ValueError:
        raise RowError("", "a number has too many digits") from None
    check_value(text, value)
    return value


def plain_object(data: bytes) -> dict[str, Any] | None:
    """The row that `parse` gives for a line of UTF-8, where that is certain at a fifth of its cost; else None.

    orjson keeps the last of equal keys and makes floats of long integers, in silence. So only objects of texts,
    booleans and short integers are taken, in which every colon after a quote is that of another key.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    if type(value) is not dict or not _PLAIN.issuperset(map(type, value.values())):
        return None
    if len(_COLON_AFTER_QUOTE.findall(data)) != len(value):
        bare = data.replace(b"\\\\", b"").replace(b'\\"', b"")  # quotes in texts are no ends of keys
        if len(_COLON_AFTER_QUOTE.findall(bare)) != len(value):
            return None
    return value


def decoded(text: str, field: str) -> Any:
    """The value that a column's text spells as JSON. RowError names the field."""
    try:
        return parse(text)
    except RowError as error:
        raise RowError(field, f"the text is {error.reason}") from None


def parse_at(text: str, start: int) -> tuple[Any, int]:
    """The value that starts at `start` and the place after it; ValueError or RecursionError when there is none."""
    value, end = _decoder.raw_decode(text, start)
    spelled = text[start:end]
    check_characters(spelled)
    check_value(spelled, value)
    return value, end


def check_characters(text: str) -> None:
    """Refuse bytes that are not UTF-8 (readers pass them on as surrogates) and NUL."""
    if not text.isascii() and not _is_encodable(text):
        raise RowError("", "not UTF-8: the row holds bytes of another encoding")
    if "\0" in text:
        raise RowError("", "the row holds a NUL byte")


def check_value(text: str, value: Any) -> None:
    """Refuse nesting and halves of surrogate pairs; `text` only tells whether a walk is needed."""
    if text.count("[") + text.count("{") > MAX_DEPTH and any(
        depth >= MAX_DEPTH and isinstance(part, dict | list) for _, part, depth in _walk(value)
    ):
        raise RowError("", f"nested deeper than {MAX_DEPTH} levels")
    if "\\u" in text and _SURROGATE_ESCAPE.search(text):
        for path, part, _ in _walk(value):
            if isinstance(part, str) and _SURROGATE.search(part):
                raise RowError(path, "half of a surrogate pair (\\ud800 to \\udfff alone) is no character")


def _is_encodable(text: str) -> bool:
    """Whether no surrogate is in a text; several times as fast as a search for one."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _walk(value: Any) -> Iterator[tuple[str, Any, int]]:
    """Every part of a value as (dotted path, part, depth), keys included; no recursion."""
    stack: list[tuple[str, Any, int]] = [("", value, 0)]
    while stack:
        path, part, depth = stack.pop()
        yield path, part, depth
        if isinstance(part, dict):
            for key, child in part.items():
                yield path, key, depth
                stack.append((f"{path}.{key}" if path else key, child, depth + 1))
        elif isinstance(part, list):
            stack.extend((f"{path}.{i}" if path else str(i), child, depth + 1) for i, child in enumerate(part))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise RowError(twice, f"the key '{twice}' occurs twice in one object")
    return table


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise RowError("", f"the number {text[:40]} is too large")
    return number


def _no_constant(name: str) -> Any:
    raise RowError("", f"{name} is not a JSON number")


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_float=_finite, parse_constant=_no_constant)
