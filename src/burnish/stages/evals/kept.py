"""Answers and likelihoods of a model on rows, kept in the workspace's cache by what they depend on.

Scores are not kept: they are computed from the answers, so that a changed scorer, claim or gate computes no answer
again.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from burnish.core.context import Input
from burnish.core.files import jsonable
from burnish.core.fingerprint import of_path, of_value
from burnish.core.runs.cache import JsonCache
from burnish.core.runs.run import run_of_output
from burnish.core.version import VERSION
from burnish.evals.likelihood import Likelihood
from burnish.evals.measure import Asked, Item
from burnish.evals.scoring.scorers import Row, Score, Unscored
from burnish.specs.base import Spec

_LIBRARIES = ("torch", "transformers", "peft")


class KeptItems:
    """One file for each key. `damaged` counts the files that could not be used, and are made again."""

    def __init__(self, folder: Path):
        self._cache = JsonCache(folder, "items")

    @property
    def damaged(self) -> int:
        return self._cache.damaged

    def get(self, key: str, count: int) -> list[Item] | None:
        """The items that were kept; None if there are none of that number."""
        items: list[dict[str, Any]] | None = self._cache.get(key)
        if items is not None and len(items) != count:
            self._cache.damaged += 1
            return None
        return None if items is None else [_item(line) for line in items]

    def put(self, key: str, items: Sequence[Item], *, with_scores: bool = False) -> None:
        """Keep items, without their scores unless these do not follow from the answers."""
        self._cache.put(key, [_line(item) | (_scores(item) if with_scores else {}) for item in items])


def key_of(what: str, model: Input, rows: Sequence[Row], settings: Mapping[str, Any]) -> str:
    """The key of `what` (answers, likelihoods) of a model on rows: all that it depends on, and the code's versions."""
    libraries = (*_LIBRARIES, "xllamacpp") if model.kind == "gguf" else _LIBRARIES
    code = {"burnish": VERSION, **{name: version(name) for name in libraries}}
    depends = {"what": what, "model": content_of(model), "rows": _hash_of(rows), "code": code}
    return of_value({**depends, "settings": jsonable(dict(settings))})


def content_of(model: Input) -> list[Any]:
    """The digest of a model's files, and of those of an adapter's base.

    The fingerprint of an artifact is that of its recipe, which gives other files on another machine.
    """
    is_of_recipe = run_of_output(model.path) is not None
    own = model.digest or ("" if is_of_recipe else model.fingerprint) or of_path(model.path, {}, model.kind)
    return [own, *([] if model.base is None else [content_of(model.base)])]


def _hash_of(rows: Sequence[Row]) -> str:
    content = hashlib.sha256()
    for row in rows:
        content.update(json.dumps(jsonable(dict(row)), sort_keys=True, default=_plain).encode() + b"\n")
    return content.hexdigest()


def _plain(value: Spec) -> Any:
    """The checks of a prompt, which are settings."""
    return value.model_dump(mode="json")


def _line(item: Item) -> dict[str, Any]:
    line: dict[str, Any] = {"prompt": item.prompt, "reference": item.reference, "answer": item.answer}
    line |= {"finish_reason": item.finish_reason, "unanswered": item.unanswered, "too_long": item.too_long}
    if item.likelihood is not None:  # as text: a loss may be infinite, and JSON has no such number
        sums = item.likelihood.nats, item.likelihood.tokens, item.likelihood.bytes
        line["likelihood"] = [repr(float(value)) for value in sums]
    return line


def _scores(item: Item) -> dict[str, Any]:
    scores = {
        name: [repr(score.value) if isinstance(score, Score) else None, score.why]
        for name, score in item.scores.items()
    }
    line: dict[str, Any] = {"scores": scores, "asked": {name: asdict(one) for name, one in item.asked.items()}}
    line["answer_tokens"] = item.answer_tokens
    return {**line, "values": {name: repr(float(value)) for name, value in item.values.items()}}


def _item(line: dict[str, Any]) -> Item:
    sums, scores, values, asked = (line.pop(name, None) for name in ("likelihood", "scores", "values", "asked"))
    item = Item(**line, likelihood=None if sums is None else Likelihood(*map(float, sums)))
    for name, (value, why) in (scores or {}).items():
        item.scores[name] = Unscored(why) if value is None else Score(float(value), why)
    item.asked = {name: Asked(**one) for name, one in (asked or {}).items()}
    item.values = {name: float(value) for name, value in (values or {}).items()}
    return item
