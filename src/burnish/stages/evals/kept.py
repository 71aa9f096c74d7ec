"""Answers and likelihoods of a model on rows, kept in the workspace's cache by what they depend on.

A file is used only if its hash is that of its content. Scores are not kept: they are computed from the answers, so that
a changed scorer, claim or gate computes no answer again.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

from burnish.core.context import Input
from burnish.core.files import jsonable, write_atomically
from burnish.core.fingerprint import of_path, of_value
from burnish.core.runs.run import run_of_output
from burnish.core.version import VERSION
from burnish.evals.measure import Item
from burnish.evals.perplexity import Likelihood
from burnish.evals.scoring.scorers import Row

_LIBRARIES = ("torch", "transformers", "peft")


class KeptItems:
    """One file for each key. `damaged` counts the files that could not be used, and are made again."""

    def __init__(self, folder: Path):
        self._folder = folder
        self.damaged = 0

    def get(self, key: str, count: int) -> list[Item] | None:
        """The items that were kept, without scores; None if there are none of that number."""
        try:
            record: Any = json.loads(self._path(key).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            self.damaged += 1
            return None
        items: Any = record.get("items") if isinstance(record, dict) and record.get("key") == key else None
        if not isinstance(items, list) or len(items) != count or record.get("sha256") != of_value(items):
            self.damaged += 1
            return None
        return [_item(line) for line in cast(list[dict[str, Any]], items)]

    def put(self, key: str, items: Sequence[Item]) -> None:
        """Keep items, without their scores."""
        lines = [_line(item) for item in items]
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps({"key": key, "sha256": of_value(lines), "items": lines}, ensure_ascii=True))

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}.json"


def key_of(what: str, model: Input, rows: Sequence[Row], settings: Mapping[str, Any]) -> str:
    """The key of `what` (answers, likelihoods) of a model on rows: all that it depends on, and the code's versions."""
    code = {"burnish": VERSION, **{name: version(name) for name in _LIBRARIES}}
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
        content.update(json.dumps(jsonable(dict(row)), sort_keys=True).encode() + b"\n")
    return content.hexdigest()


def _line(item: Item) -> dict[str, Any]:
    line: dict[str, Any] = {"prompt": item.prompt, "reference": item.reference, "answer": item.answer}
    line |= {"finish_reason": item.finish_reason, "unanswered": item.unanswered, "too_long": item.too_long}
    if item.likelihood is not None:  # as text: a loss may be infinite, and JSON has no such number
        sums = item.likelihood.nats, item.likelihood.tokens, item.likelihood.bytes
        line["likelihood"] = [repr(float(value)) for value in sums]
    return line


def _item(line: dict[str, Any]) -> Item:
    sums = line.pop("likelihood", None)
    return Item(**line, likelihood=None if sums is None else Likelihood(*map(float, sums)))
