"""Several answers to one prompt, each with a score: the best and the worst become a preference."""

import math
from typing import Any

from burnish.data.formats.columns import Columns, Raw
from burnish.data.formats.format import JUDGED, Format
from burnish.data.formats.pairs import prompt_turns
from burnish.data.formats.preference import two_answers
from burnish.data.formats.rest import keep_rest
from burnish.data.record import RowError

_LISTS = ("completions", "responses", "answers")
_SCORE_LISTS = ("scores", "rewards", "ratings")
_TEXTS = ("response", "content", "text", "completion", "answer")
_SCORES = ("overall_score", "score", "rating", "reward")


def fits(raw: Raw) -> str:
    column, scores = _columns(raw)
    return f"{column} with {scores}" if scores else ""


def _columns(raw: Raw) -> tuple[str, str]:
    """(the column of answers, the column or key of their scores); empty where a row has none."""
    column = next((name for name in _LISTS if isinstance(raw.get(name), list) and len(raw[name]) > 1), "")
    if not column:
        return "", ""
    first = raw[column][0]
    if isinstance(first, dict):
        named = any(isinstance(first.get(key), str) for key in _TEXTS)
        return column, next((key for key in _SCORES if key in first), "") if named else ""
    beside = next((name for name in _SCORE_LISTS if isinstance(raw.get(name), list)), "")
    return column, beside if isinstance(first, str) else ""


def map_row(columns: Columns) -> dict[str, Any]:
    column, key = _columns(columns.raw)
    if not key:
        raise RowError(column or _LISTS[0], "must be a list of two or more answers, each with a score")
    listed = columns.take(column)
    if isinstance(listed[0], dict):
        answers = [_answer(item, key, f"{column}.{i}", columns.extra) for i, item in enumerate(listed)]
    else:
        values = columns.take(key)
        if len(values) != len(listed):
            raise RowError(key, f"there are {len(values)} scores for {len(listed)} answers")
        answers = list(zip(listed, values, strict=True))
    scores = [_number(score, f"{key}.{i}") for i, (_, score) in enumerate(answers)]
    best, worst = scores.index(max(scores)), scores.index(min(scores))
    if scores[best] == scores[worst]:
        raise RowError(key, "all answers have the same score: none is the better one, leave such rows out")
    for i, (text, score) in enumerate(answers):
        if not isinstance(text, str):
            raise RowError(f"{column}.{i}", "the answer must be a text")
        columns.extra[f"{column}.{i}.{key}"] = score
        if i not in (best, worst):
            columns.extra[f"{column}.{i}"] = text
    chosen, rejected = ([{"role": "assistant", "content": answers[i][0]}] for i in (best, worst))
    return two_answers(prompt_turns(columns), chosen, rejected)


def _answer(item: Any, score: str, path: str, extra: dict[str, Any]) -> tuple[str, Any]:
    """(the text, its score as it is written); the other keys go to `extra`."""
    key = next((key for key in _TEXTS if isinstance(item, dict) and isinstance(item.get(key), str)), None)
    if key is None:
        raise RowError(path, "the answer must be an object with a text and a score")
    keep_rest(item, {key, score}, path, extra)
    return item[key], item.get(score)


def _number(value: Any, path: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise RowError(path, "the score must be a number")
    return number


FORMAT = Format("scored", (_LISTS,), fits, map_row, rank=JUDGED)
