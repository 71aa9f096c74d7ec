"""Strict JSON parsing and comparison by JSON values instead of Python objects."""

import json
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

_FENCE = re.compile(r"```[\w-]*\s*\n(.*?)```", re.DOTALL)


@dataclass(frozen=True)
class Untyped:
    """A value from a format without types (XML-like tool calls): equals the string and its parsed value."""

    raw: str


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


decoder = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse_constant)
"""Numbers are exact (int or Decimal); NaN and Infinity are errors."""


def parse_json(text: str) -> Any:
    """Parse a JSON text, optionally in a Markdown code fence.

    Raises ValueError for anything else, including prose before or after the value.
    """
    try:
        return decoder.decode(unfenced(text))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def unfenced(text: str) -> str:
    """A text without white space around it, and without the code fence that encloses all of it."""
    text = text.strip()
    fences = _FENCE.findall(text)
    if len(fences) == 1 and text.startswith("```") and text.endswith("```"):
        return fences[0].strip()
    return text


def same_json(left: Any, right: Any) -> bool:
    """Equality of JSON values: 1 equals 1.0, true does not equal 1, key order does not matter."""
    if isinstance(left, Untyped):
        return _equals_untyped(left, right)
    if isinstance(right, Untyped):
        return _equals_untyped(right, left)
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same_json(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same_json, left, right))
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return left == right


def _equals_untyped(left: Untyped, right: Any) -> bool:
    if isinstance(right, Untyped):
        return left.raw == right.raw
    if isinstance(right, str):
        return left.raw == right
    try:
        return same_json(parse_json(left.raw), right)
    except ValueError:
        return False
