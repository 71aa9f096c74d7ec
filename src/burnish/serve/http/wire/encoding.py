"""JSON of answers, and strict JSON of requests."""

import json
from typing import Any

import orjson

DEEPEST = 64
"""The most levels that the JSON of a request may have."""


def json_bytes(value: Any) -> bytes:
    """Compact JSON. A lone surrogate, which an incomplete character may leave, becomes U+FFFD."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        return text.encode("utf-8", errors="replace")


def event(value: Any) -> bytes:
    """A server-sent event."""
    return b"data: " + json_bytes(value) + b"\n\n"


DONE = b"data: [DONE]\n\n"


def parse_request(data: bytes) -> dict[str, Any]:
    """The object that a request holds.

    Errors: ValueError for what is not UTF-8 or JSON, NaN, lone surrogates, doubled keys, deep nesting, or no object.
    """
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"the body is not valid JSON: {error}") from None
    try:
        value = json.loads(data, object_pairs_hook=_object)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError(f"the body is {_NAMES.get(type(value), 'null')}; a JSON object is expected")
    _check_depth(value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key '{double[:80]}' is given twice")
    return found


def _check_depth(value: Any) -> None:
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > DEEPEST:
            raise ValueError(f"the JSON is nested more than {DEEPEST} levels deep")
        level = [
            child
            for item in level
            for child in (item.values() if isinstance(item, dict) else item)
            if isinstance(child, dict | list)
        ]


_NAMES = {list: "a list", str: "a string", int: "a number", float: "a number", bool: "a boolean"}
