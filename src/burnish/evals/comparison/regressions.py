"""Regression sets: rows on which a candidate must not get worse.

A set is a file of row ids, one per line, or of JSON lines with `id`. A line may record what is at least required, as
`{"id": …, "scores": {"exact_match": 1.0}}`; without it the baseline's score is required.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from burnish.core.errors import DataError
from burnish.evals.comparison.table import Candidate, Rows
from burnish.evals.scoring.scorers import Score

FILE = "regressions.jsonl"
"""Written by every comparison: the rows that the baseline gets right."""


@dataclass(frozen=True)
class Required:
    """A row of a set, and the least score for each scorer; empty: those of the baseline. A recorded score is all that
    is required of the row."""

    id: str
    scores: Mapping[str, float]


@dataclass(frozen=True)
class Worse:
    """A row that got worse."""

    id: str
    score: str
    required: float
    found: float


@dataclass(frozen=True)
class Checked:
    """A set checked for one candidate."""

    rows: int
    """Those that require something."""
    worse: Sequence[Worse]
    undecided: int = 0
    why: str = ""
    not_required: int = 0
    """Rows whose recorded scores lack the score of the rule."""


def read_set(path: Path) -> list[Required]:
    """Read a regression set. Errors: DataError `data.unreadable` with file and line, `data.empty`."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError("data.unreadable", f"{path} cannot be read: {error}", "write one row id per line") from error
    found = [_required(line.strip(), f"{path}:{number}") for number, line in enumerate(lines, 1) if line.strip()]
    if not found:
        raise DataError("data.empty", f"{path} has no rows", "write one row id per line, or remove the set")
    return found


def _required(text: str, place: str) -> Required:
    if not text.startswith("{"):
        if " " in text or text[0] in "[\"'":
            raise _bad(place, f"'{text[:40]}' is not a row id")
        return Required(text, {})
    try:
        line: Any = json.loads(text)
    except ValueError as error:
        raise _bad(place, f"invalid JSON ({error})") from error
    row = cast(dict[str, Any], line)
    if not isinstance(row.get("id"), str):
        raise _bad(place, "the line has no `id`")
    scores = row.get("scores", {})
    if not isinstance(scores, dict) or not all(
        isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        for value in cast(dict[str, Any], scores).values()
    ):
        raise _bad(place, "`scores` is not a mapping of names to finite numbers")
    return Required(row["id"], {str(name): float(value) for name, value in cast(dict[str, Any], scores).items()})


def _bad(place: str, what: str) -> DataError:
    return DataError("data.unreadable", what, 'write a row id, or {"id": …, "scores": {…}}', place=place)


def check(
    required: Sequence[Required], rows: Rows, base: Candidate, candidate: Candidate, score: str | None
) -> Checked:
    """Compare a candidate row by row with what is required; `score` limits it to one.

    Equal rows have one id: each of them must have what is required of it.
    """
    places: dict[str, list[int]] = {}
    for index, row in enumerate(rows.ids):
        places.setdefault(row, []).append(index)
    worse: list[Worse] = []
    undecided: dict[str, int] = {}
    requiring = [each for each in required if score is None or not each.scores or score in each.scores]
    for each in requiring:
        why = "" if each.id in places else "they are not in the data"
        for index in places.get(each.id, ()):
            least = _least(each, base, index, score)
            if not least:
                why = "nothing is recorded, and the baseline has no score there"
            for name, value in least.items():
                item = candidate.items[index]
                found = None if item is None else item.scores.get(name)
                if not isinstance(found, Score):
                    why = f"the candidate has no {name} there"
                elif not found.value >= value - 1e-9:  # NaN, too
                    worse.append(Worse(each.id, name, value, found.value))
        if why:
            undecided[why] = undecided.get(why, 0) + 1
    first_of_row = list({each.id: each for each in reversed(worse)}.values())[::-1]
    free = len(required) - len(requiring)
    return Checked(len(requiring), first_of_row, sum(undecided.values()), ", ".join(undecided), free)


def _least(required: Required, base: Candidate, index: int, score: str | None) -> dict[str, float]:
    if required.scores:
        return {name: value for name, value in required.scores.items() if score in (None, name)}
    item = base.items[index]
    scores = {} if item is None else item.scores
    return {name: found.value for name, found in scores.items() if isinstance(found, Score) and score in (None, name)}


def set_lines(rows: Rows, base: Candidate) -> list[dict[str, Any]]:
    """The rows that a candidate gets right, with the scores that are 1, as lines of a regression set."""
    lines: list[dict[str, Any]] = []
    beyond = {  # scores of tasks from 0 to 100: no value of them says that an answer is right
        name
        for item in base.items
        for name, found in (item.scores if item else {}).items()
        if isinstance(found, Score) and found.value > 1
    }
    for index, (row, item) in enumerate(zip(rows.ids, base.items, strict=True)):
        right = {
            name: found.value
            for name, found in (item.scores if item else {}).items()
            if isinstance(found, Score) and found.value == 1 and name not in beyond
        }
        if item is not None and right:
            line = {"id": row, "source": rows.sources[index], "scores": right}
            lines.append({**line, "prompt": item.prompt, "reference": item.reference, "answer": item.answer})
    return lines
