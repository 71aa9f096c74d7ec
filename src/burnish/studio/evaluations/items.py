"""The items behind scores, by page: what was asked, what each side answered, and how each answer was scored."""

import math
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

import orjson

from burnish.core.runs.records import broken
from burnish.core.runs.workspace import Workspace
from burnish.studio.evaluations.records import as_written, evaluation_of

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
    Errors: AskError `ask.no-such-run`; RunError `run.broken-record`, `run.damaged-artifact`.
    """
    _, made = evaluation_of(name, Workspace.find(workspace))
    with _opened(made.path / FILE) as file:
        return _page(
            ((start,) for start in file), lambda at: _shown(file.item(*at), "model"), order, text, offset, limit
        )


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
    paths = [evaluation_of(name, place)[1].path / FILE for name in (one, other)]
    with _opened(paths[1]) as second, _opened(paths[0]) as first:

        def both(at: _At) -> Item:
            left, right = _shown(first.item(at[0]), "one"), _shown(second.item(at[1]), "other")
            sides = [left["sides"][0], right["sides"][0]]
            return {**left, "reference": left["reference"] or right["reference"], "sides": sides}

        waiting: dict[str, deque[int]] = {}
        for start in second:
            waiting.setdefault(str(second.item(start).get("id")), deque()).append(start)
        partners = ((start, waiting.get(str(first.item(start).get("id")))) for start in first)
        common = ((start, partner.popleft()) for start, partner in partners if partner)
        return _page(common, both, order, text, offset, limit)


_At = tuple[int, ...]
"""Where an item begins in its file, or in each of two files."""


def _page(
    found: Iterable[_At], item_of: Callable[[_At], Item], order: Order, text: str, offset: int, limit: int
) -> dict[str, Any]:
    """A page of the items that begin there: others are read, where that is needed to find them, and not kept."""
    words, total, match = text.lower().split(), 0, 0
    kept: list[tuple[Any, _At]] = []
    for at in found:
        total += 1
        item = item_of(at) if words or order != "file" else None
        if item is not None and not all(word in _searched(item) for word in words):
            continue
        match += 1
        if item is not None and order != "file":
            kept.append((_lowest(item) if order == "worst" else _alike(item), at))
        elif offset < match <= offset + limit:
            kept.append((match, at))
    kept.sort(key=lambda one: one[0])
    page = kept if order == "file" else kept[offset : offset + limit]
    return {"items": [item_of(at) for _, at in page], "match": match, "total": total}


class _Lines:
    """The lines of a file of items, by the byte at which they begin."""

    def __init__(self, path: Path, file: BinaryIO, own: BinaryIO):
        self._path, self._file, self._own = path, file, own

    def __iter__(self) -> Iterator[int]:
        start = 0
        for line in self._file:
            if line.strip():
                yield start
            start += len(line)

    def item(self, start: int) -> Mapping[str, Any]:
        """The item that begins there. Errors: RunError `run.broken-record`."""
        self._own.seek(start)
        found = orjson.loads(self._own.readline())
        if not isinstance(found, dict):
            raise broken(self._path, f"contains a {type(found).__name__} instead of an object, at byte {start:,}")
        return cast(Mapping[str, Any], found)


@contextmanager
def _opened(path: Path) -> Generator[_Lines]:
    """RunError `run.broken-record` for what is not as steps write it."""
    with as_written(path):
        try:
            with path.open("rb") as file, path.open("rb") as own:
                yield _Lines(path, file, own)
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
