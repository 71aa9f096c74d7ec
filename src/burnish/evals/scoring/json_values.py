"""JSON as scorers see it: read strictly, and compared as values, not as Python objects."""

import json
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

_FENCE = re.compile(r"```[\w-]*\s*\n(.*?)```", re.DOTALL)


@dataclass(frozen=True)
class Untyped:
    """A value of a format without types (XML-like tool calls): it equals the string and what the string parses to."""

    raw: str


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


decoder = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse_constant)
"""Numbers are exact (int or Decimal); NaN and Infinity are refused."""


def parse_json(text: str) -> Any:
    """The value of a JSON text, which may stand in a Markdown code fence.

    Raises ValueError when the text is anything else: prose before or after the value counts as that.
    """
    text = text.strip()
    fences = _FENCE.findall(text)
    if len(fences) == 1 and text.startswith("```") and text.endswith("```"):
        text = fences[0].strip()
    try:
        return decoder.decode(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def same_json(left: Any, right: Any) -> bool:
    """Equality of JSON values: 1 equals 1.0, true does not equal 1, the order of keys is nothing."""
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
