"""Pages of a list of runs or of their steps: filtered, in an order, from a cursor on."""

import base64
import heapq
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, cast, get_args

from burnish.core.errors import AskError
from burnish.core.runs.workspace import Workspace
from burnish.jobs.index.entry import StepEntry
from burnish.studio.listing.groups import Group
from burnish.studio.listing.snapshots import runs_of, steps_of

MOST_ITEMS = 1_000
_NUMBER = re.compile(r"#[0-9]+")
Order = Literal["newest", "oldest", "name"]
"""`newest` and `oldest` by the time at which it was created, `name` by recipe, number and step."""
Key = tuple[str | float, float, str]
T = TypeVar("T")


@dataclass(frozen=True)
class Page:
    """Some items. `next` is the cursor of those after them, `total` the number of items on all pages."""

    items: list[dict[str, Any]]
    next: str | None
    total: int


def newest_first(entries: Iterable[StepEntry]) -> list[StepEntry]:
    """In the order `newest`: by time, then by the number of the run, then by name."""
    return sorted(entries, key=lambda entry: _key("newest", entry.age, entry.recipe, entry.number, entry.run))


def steps_page(
    recipe: str | None = None,
    stage: str | None = None,
    state: str | None = None,
    text: str = "",
    limit: int = 50,
    cursor: str | None = None,
    order: Order = "newest",
    *,
    max_age: float = 0.0,
    workspace: Path | str | None = None,
) -> Page:
    """A page of steps, as the rows of `burnish.runs`. Every word of `text` is in its names, stage, kind or reason;
    `#3` is run number 3.

    The list is that of the folders now, or at most `max_age` seconds ago. The next page starts behind the last item of
    this one, whatever was added or removed meanwhile. Errors: AskError `ask.no-such-run` if the workspace does not
    exist, `ask.wrong-value` for a limit or a cursor.
    """
    words = text.lower().split()
    wanted = [
        (_key(order, entry.age, entry.recipe, entry.number, entry.run), entry)
        for entry in steps_of(_existing(workspace), max_age)
        if recipe in (None, entry.recipe)
        and stage in (None, entry.stage)
        and state in (None, entry.state)
        and (not words or _has(words, entry.number, (entry.run, entry.stage, entry.kind, entry.reason)))
    ]
    return _page(wanted, StepEntry.row, order, limit, cursor)


def runs_page(
    recipe: str | None = None,
    stage: str | None = None,
    state: str | None = None,
    text: str = "",
    limit: int = 50,
    cursor: str | None = None,
    order: Order = "newest",
    *,
    max_age: float = 0.0,
    workspace: Path | str | None = None,
) -> Page:
    """A page of runs, each with the steps of its plan (see `Group.item`); otherwise as `steps_page`.

    `stage` asks for runs with such a step. A step without a folder is `planned`, or `removed` if it had one.
    """
    place, words = _existing(workspace), text.lower().split()
    runs, folders = runs_of(place, max_age)
    groups = (Group(run, folders) for run in runs.values() if recipe in (None, run.recipe))
    wanted = [
        (_key(order, group.run.created, group.run.recipe, group.run.number, group.run.run), group)
        for group in groups
        if (stage is None or stage in group.stages())
        and (not words or _has(words, group.run.number, group.words()))
        and (state is None or state == group.state(place))
    ]
    return _page(wanted, lambda group: group.item(place), order, limit, cursor)


def _existing(workspace: Path | str | None) -> Workspace:
    place = Workspace.find(workspace)
    place.refuse_missing()
    return place


def _has(words: Iterable[str], number: int, texts: Iterable[str | None]) -> bool:
    """Whether each word is in the texts; `#3` is the number of a run, and not a part of 30."""
    whole = "\n".join(text for text in texts if text).lower()
    return all(word == f"#{number}" if _NUMBER.fullmatch(word) else word in whole for word in words)


def _key(order: Order, age: float, recipe: str, number: int, run: str) -> Key:
    """Rises in the order of the list; no two items have the same."""
    if order == "newest":
        return -age, -number, run
    return (recipe, number, run) if order == "name" else (age, number, run)


def _page(
    wanted: Sequence[tuple[Key, T]], show: Callable[[T], dict[str, Any]], order: Order, limit: int, cursor: str | None
) -> Page:
    if not 1 <= limit <= MOST_ITEMS:
        raise AskError("ask.wrong-value", f"a page of {limit} items", f"ask for 1 to {MOST_ITEMS:,}")
    if order not in get_args(Order):
        raise AskError("ask.wrong-value", f"there is no order '{order}'", f"use one of {', '.join(get_args(Order))}")
    rest = wanted if cursor is None else _behind(wanted, _key_of(cursor, order))
    found = heapq.nsmallest(limit + 1, rest, key=lambda one: one[0])
    shown = found[:limit]
    is_last = len(found) <= limit
    return Page([show(item) for _, item in shown], None if is_last else _cursor(shown[-1][0], order), len(wanted))


def _behind(wanted: Sequence[tuple[Key, T]], last: Key) -> list[tuple[Key, T]]:
    return [one for one in wanted if one[0] > last]


def _cursor(key: Key, order: Order) -> str:
    return base64.urlsafe_b64encode(json.dumps([order, *key]).encode()).decode()


def _key_of(cursor: str, order: Order) -> Key:
    try:
        found: Any = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        match found:
            case [str() as made_for, str() | float() | int() as first, float() | int() as second, str() as third]:
                if made_for == order and isinstance(first, str) == (order == "name"):
                    return cast(Key, (first, second, third))
            case _:
                pass
    except (ValueError, RecursionError):
        pass
    raise AskError("ask.wrong-value", "the cursor is not one of this list", "ask for the first page, without a cursor")
