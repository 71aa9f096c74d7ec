"""Rows of a training step from its row ledger, with their texts: the worst, the best, or those that are named."""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from burnish.core.context import Input
from burnish.core.errors import AskError, BurnishError
from burnish.data.dataset import find_rows
from burnish.data.document import Row, content_id
from burnish.stages.answer import answer
from burnish.train.reporting.visits import Visits

SPLIT = "train"


@dataclass
class Texts:
    """Rows of the data by id, and how often each occurs there; `reason` says why others are not available."""

    reason: str
    rows: dict[str, Row] = field(default_factory=dict[str, Row])
    copies: Counter[str] = field(default_factory=Counter[str])


def find_texts(data: Input | None, ids: Collection[str], reason: str) -> Texts:
    """Look rows up in the data of a training.

    With a `reason`, the data is not what the step was trained on: a row still counts if its id, the hash of its
    content, is that of its present content.
    """
    found = Texts(reason or (f"it is not in {data.ref}" if data else ""))
    if data is None or not ids:
        return found
    try:
        for row in find_rows(data, SPLIT, ids):
            if not reason or content_id(row) == row["id"]:
                found.rows.setdefault(row["id"], row)
                found.copies[row["id"]] += 1
    except (BurnishError, OSError) as error:
        found.reason = reason or (error.what if isinstance(error, BurnishError) else str(error))
    return found


def look(
    visits: Visits,
    data: Input | None,
    reason: str,
    *,
    worst: int = 0,
    best: int = 0,
    rows: Iterable[str] = (),
    sort: str = "last",
    at: int | None = None,
) -> dict[str, Any]:
    """The answer to `burnish.rows`: counts, and under `worst`, `best` and `named` the rows with their visits.

    With `at`, those are among the rows that this optimizer step visited, by their loss there.

    Errors: AskError `ask.bad-reference` for a row without visits, `ask.nothing-to-do` when no row has a rise.
    """
    if sort == "rise" and visits.once == len(visits) and (worst or best):
        what = f"no row was visited twice up to step {visits.last_step}, so no loss has risen or fallen"
        raise AskError("ask.nothing-to-do", what, "sort by last or mean, or train for several epochs")
    if at is None:
        lists = [visits.ranked(sort, highest=highest, most=most) for highest, most in ((True, worst), (False, best))]
    else:
        lists = [visits.visited_at(at, highest=highest, most=most) for highest, most in ((True, worst), (False, best))]
    ranked = dict(zip(("worst", "best"), lists, strict=True))
    named, unknown = list[int](), list[str]()
    for name in rows:
        places = visits.named(name)
        named += places
        unknown += [] if places else [name]
    if unknown:
        raise _unvisited(unknown, visits, data, reason)
    chosen = {name: [visits.of(row) for row in places] for name, places in {**ranked, "named": named}.items()}
    texts = find_texts(data, {row_id(entry["id"]) for entries in chosen.values() for entry in entries}, reason)
    for entries in chosen.values():
        for entry in entries:
            name = row_id(entry["id"])
            entry["row"] = texts.rows.get(name)
            entry["missing"] = "" if name in texts.rows else texts.reason
            entry["copies"] = texts.copies[name]
    counts = {"rows": len(visits), "visits": visits.count, "step": visits.last_step, "visited_once": visits.once}
    return {**counts, "columns": visits.columns, **chosen}


def row_id(name: str) -> str:
    """The id of the row in the data of a ledger's row: without `#2` of a piece."""
    return name.partition("#")[0]


def _unvisited(names: list[str], visits: Visits, data: Input | None, reason: str) -> AskError:
    known = find_texts(data, {row_id(name) for name in names}, reason).rows
    parts: list[str] = []
    for name in names:
        place = f"is in {data.ref} ({known[name]['source']}), but" if data and name in known else "is unknown:"
        parts.append(f"the row {name} {place} no step up to {visits.last_step} has visited it")
    fix = "ids are printed by `burnish runs rows` and `burnish inspect --json`"
    if known:
        fix = "it has no learned tokens, or its turn has not come: render it with `burnish inspect --tokenizer`"
    return AskError("ask.bad-reference", "; ".join(parts), fix)


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    data = Input.from_json(request["data"]) if request["data"] is not None else None
    return look(Visits.read(Path(request["ledger"])), data, request["reason"], **request["choice"])


if __name__ == "__main__":
    answer(_answer)
