"""The items behind scores, by page: what was asked, what each side answered, and how each answer was scored."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, cast

import orjson

from burnish.core.runs.records import broken
from burnish.core.runs.workspace import Workspace
from burnish.studio.evaluations.records import evaluation_of

FILE = "items.jsonl"
MOST_TEXT = 20_000
"""Characters of a prompt or an answer."""
Order = Literal["file", "worst", "changed"]
Item = dict[str, Any]


def items(
    name: str,
    *,
    order: Order = "file",
    text: str = "",
    offset: int = 0,
    limit: int = 20,
    workspace: Path | str | None = None,
) -> dict[str, Any]:
    """The items of the step `recipe/number/step`: `items`, and how many there are in `total`, and that `match`.

    `order` is that of the file, the lowest scores first, or those first whose scores differ most between the sides.
    Errors: AskError `ask.no-such-run`; RunError `run.broken-record`.
    """
    _, made = evaluation_of(name, Workspace.find(workspace))
    found = [_shown(line, "model") for line in _lines(made.path / FILE)]
    return _page(found, order, text, offset, limit)


def answers(
    one: str,
    other: str,
    *,
    order: Order = "changed",
    text: str = "",
    offset: int = 0,
    limit: int = 20,
    workspace: Path | str | None = None,
) -> dict[str, Any]:
    """The items that two evaluations have in common, the sides `one` and `other` beside each other.

    Items are matched by their ids, equal ids in order, as `compare` does. Errors: those of `items`.
    """
    place = Workspace.find(workspace)
    waiting: dict[str, list[Item]] = {}
    for line in _lines(evaluation_of(other, place)[1].path / FILE):
        waiting.setdefault(str(line.get("id")), []).append(_shown(line, "other"))
    found: list[Item] = []
    for line in _lines(evaluation_of(one, place)[1].path / FILE):
        if partners := waiting.get(str(line.get("id"))):
            left, right = _shown(line, "one"), partners.pop(0)
            sides = [left["sides"][0], right["sides"][0]]
            found.append({**left, "reference": left["reference"] or right["reference"], "sides": sides})
    return _page(found, order, text, offset, limit)


def _page(found: list[Item], order: Order, text: str, offset: int, limit: int) -> dict[str, Any]:
    words = text.lower().split()
    matching = [item for item in found if all(word in _searched(item) for word in words)] if words else found
    if order != "file":
        matching = sorted(matching, key=_lowest if order == "worst" else _alike)
    return {"items": matching[offset : offset + limit], "match": len(matching), "total": len(found)}


def _lines(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        with path.open("rb") as file:
            yield from (orjson.loads(line) for line in file if line.strip())
    except (OSError, ValueError) as error:
        raise broken(path, f"cannot be read ({error})") from None


def _shown(line: Mapping[str, Any], side: str) -> Item:
    """An item as a page shows it; `side` is the name of the model of an evaluation."""
    if "candidates" in line:
        sides = [_side(name, one) for name, one in line["candidates"].items() if one is not None]
        prompt = next((one.get("prompt") for one in line["candidates"].values() if one and one.get("prompt")), "")
    else:
        sides, prompt = [_side(side, line)], line.get("prompt")
        if line.get("base"):
            sides.append(_side("base", line["base"]))
    return {
        "id": str(line.get("id", "")),
        "source": line.get("source") or "",
        "tag": line.get("tag"),
        "prompt": (prompt or "")[:MOST_TEXT],
        "reference": None if line.get("reference") is None else str(line["reference"])[:MOST_TEXT],
        "sides": sides,
    }


def _side(name: str, line: Mapping[str, Any]) -> dict[str, Any]:
    unscored: Mapping[str, Any] = line.get("unscored") or {}
    scores: dict[str, dict[str, Any]] = {name: {"value": None, "why": str(why)} for name, why in unscored.items()}
    given: Mapping[str, Any] = line.get("scores") or {}
    for score, value in given.items():
        entry: Mapping[str, Any] = cast(Mapping[str, Any], value) if isinstance(value, dict) else {"value": value}
        if entry["value"] is not None or score not in scores:
            scores[score] = {"value": entry["value"], "why": str(entry.get("why") or "")}
    answer = line.get("answer")
    return {"name": name, "answer": None if answer is None else str(answer)[:MOST_TEXT], "scores": scores}


def _searched(item: Item) -> str:
    texts = [
        item["prompt"],
        item["reference"] or "",
        item["tag"] or "",
        *(side["answer"] or "" for side in item["sides"]),
    ]
    return "\n".join(texts).lower()


def _values(side: Mapping[str, Any]) -> dict[str, float]:
    found = {name: score["value"] for name, score in side["scores"].items() if score["value"] is not None}
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _lowest(item: Item) -> float:
    """The mean score of the first side; items without one are last."""
    values = _values(item["sides"][0]).values() if item["sides"] else ()
    return sum(values) / len(values) if values else math.inf


def _alike(item: Item) -> tuple[float, bool]:
    """How far the scores of the sides are apart, and whether the answers differ, the most first."""
    sides = [_values(side) for side in item["sides"]]
    names = set[str]().union(*sides)
    spread = max(
        (max(values) - min(values) for name in names if (values := [s[name] for s in sides if name in s])), default=0.0
    )
    return -spread, len({side["answer"] for side in item["sides"]}) <= 1
