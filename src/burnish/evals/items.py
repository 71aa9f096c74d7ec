"""The rows of an evaluation, read back from its `items.jsonl`."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from burnish.core.errors import DataError
from burnish.evals.likelihood import Likelihood
from burnish.evals.measure import Item
from burnish.evals.scoring.scorers import Score, Unscored

ITEMS = "items.jsonl"


@dataclass(frozen=True)
class ReadItem:
    """One row of an evaluation: where it comes from, and what the model did on it."""

    id: str
    source: str
    tag: str | None
    cluster: str | None
    item: Item


def read_items(folder: Path) -> list[ReadItem]:
    """The rows of an evaluation by `evaluate` or `judge`, in order.

    Errors: DataError `data.unreadable` that names file, line and key.
    """
    path = folder / ITEMS
    try:
        lines = path.read_text(encoding="utf-8").split("\n")  # not splitlines: texts may hold U+2028
    except (OSError, UnicodeDecodeError) as error:
        raise DataError("data.unreadable", f"{path} cannot be read: {error}", "run the evaluation again") from error
    return [_read(line, f"{path}:{number}") for number, line in enumerate(lines, 1) if line.strip()]


def _read(text: str, place: str) -> ReadItem:
    try:
        line = json.loads(text)
        scores = {str(name): _score(value) for name, value in line["scores"].items()}
        scores |= {str(name): Unscored(str(why)) for name, why in (line.get("unscored") or {}).items()}
        cluster = line.get("cluster")
        return ReadItem(
            id=str(line["id"]),
            source=str(line.get("source") or ""),
            tag=line.get("tag"),
            cluster=None if cluster is None else str(cluster),
            item=Item(
                prompt=line.get("prompt") or "",
                reference=line.get("reference"),
                answer=line.get("answer"),
                finish_reason=line.get("finish_reason") or "",
                answer_tokens=None if line.get("answer_tokens") is None else int(line["answer_tokens"]),
                scores=scores,
                likelihood=_likelihood(line),
                too_long=bool(line.get("too_long")),
            ),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"the row is not one of an evaluation ({type(error).__name__}: {error})"
        raise DataError("data.unreadable", what, "run the evaluation again", place=place) from error


def _score(value: Any) -> Score | Unscored:
    """A number or null, or `{"value": …, "why": …}`. Errors: ValueError for NaN or infinity."""
    why = ""
    if isinstance(value, Mapping):
        entry = cast(Mapping[str, Any], value)
        value, why = entry["value"], str(entry.get("why") or "")
    if value is None:
        return Unscored(why or "the evaluation has no score for it")
    if not math.isfinite(score := float(value)):
        raise ValueError(f"the score is {value}")
    return Score(score, why)


def _likelihood(line: Mapping[str, Any]) -> Likelihood | None:
    """NaN and infinity only as `nll`: what a broken model gives. Errors: ValueError for other counts."""
    if line.get("nll") is None:
        return None
    found = Likelihood(float(line["nll"]), float(line["tokens"]), float(line["bytes"]))
    if not (0 < found.tokens < math.inf and 0 <= found.bytes < math.inf):
        raise ValueError(f"a likelihood of {line['tokens']} tokens and {line['bytes']} bytes")
    return found
