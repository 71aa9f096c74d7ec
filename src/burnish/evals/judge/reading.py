"""Reading a score from the reply of a judge, in free text or JSON."""

import math
import re
from collections.abc import Mapping
from typing import Any

from burnish.endpoints.client import Reply
from burnish.evals.scoring.json_values import parse_json
from burnish.evals.scoring.scorers import visible

_SCORE = re.compile(r"(?i)\bscore\b[\s*_\"']*[:=]?[\s*_\"']*(-?\d+(?:\.\d+)?)(?![\d.]*\d)")
_SHOWN = 160


class UnreadableError(ValueError):
    """A reply from which nothing can be read. `kind` names the reason, for counts."""

    def __init__(self, why: str, kind: str = ""):
        super().__init__(why)
        self.kind = kind or why


class ScoreReader:
    """The number in a reply: a field of JSON, or the last match of a pattern; `Score: N` by default."""

    def __init__(self, low: float, high: float, pattern: str | None = None, field: str | None = None):
        self.low, self.high, self.field = low, high, field
        self.pattern = _SCORE if pattern is None else re.compile(pattern)

    def __call__(self, reply: Reply) -> float:
        """The score from `low` to `high`. Errors: UnreadableError."""
        if reply.finish_reason == "length":  # `Score: 1` may be the start of `Score: 10`
            raise UnreadableError("it was cut off at max_tokens")
        text = visible(reply.text)
        score = self._in_field(text, self.field) if self.field is not None else self._matched(text)
        if not math.isfinite(score) or not self.low <= score <= self.high:
            raise UnreadableError(f"{score:g} is not from {self.low:g} to {self.high:g}")
        return score

    def _matched(self, text: str) -> float:
        found = list(self.pattern.finditer(text))
        if not found:
            raise UnreadableError("the pattern is not found")
        try:
            return float(found[-1][1])
        except (TypeError, ValueError):
            raise UnreadableError(f"{found[-1][1]!r} is not a number") from None

    def _in_field(self, text: str, field: str) -> float:
        value = json_in(text)
        for part in field.split("."):
            if not isinstance(value, Mapping) or part not in value:
                raise UnreadableError(f"there is no field '{field}'")
            value = value[part]
        try:
            if isinstance(value, bool):
                raise TypeError
            return float(value)
        except (TypeError, ValueError, OverflowError):
            raise UnreadableError(f"the field is {value!r}, not a number") from None


def json_in(text: str) -> Any:
    """The JSON value of a text, optionally in a code fence. Errors: UnreadableError."""
    try:
        return parse_json(text)
    except ValueError as error:
        raise UnreadableError(f"it is not JSON ({error})", "not JSON") from None


def end_of(text: str) -> str:
    """The end of a text on one line, for messages."""
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"…{line[-_SHOWN:]}"
