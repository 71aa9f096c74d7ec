"""Pages as OpenAI's lists have them: `limit` objects after the one with an id, and whether there are more."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from burnish.core.errors import AskError


def page(rows: Sequence[dict[str, Any]], limit: int, after: str | None, what: str) -> dict[str, Any]:
    """A page of objects that have an `id`. Errors: AskError `ask.bad-reference` for an unknown `after`."""
    begin = 0
    if after is not None:
        begin = next((place for place, row in enumerate(rows, start=1) if row["id"] == after), -1)
        if begin < 0:
            raise _unknown(after, what)
    return _page(list(rows[begin : begin + limit]), has_more=begin + limit < len(rows))


def page_of(
    rows: Iterable[tuple[str, Callable[[], dict[str, Any] | None]]], limit: int, after: str | None, what: str
) -> dict[str, Any]:
    """The same of objects by their ids, which are made, or found to be none, as they are shown."""
    shown: list[dict[str, Any]] = []
    is_begun = after is None
    for id, make in rows:
        if not is_begun:
            is_begun = id == after
        elif (row := make()) is not None:
            if len(shown) == limit:
                return _page(shown, has_more=True)
            shown.append(row)
    if not is_begun:
        raise _unknown(after, what)
    return _page(shown, has_more=False)


def _unknown(after: str | None, what: str) -> AskError:
    return AskError(
        "ask.bad-reference", f"after: there is no {what} {after!r:.100} in this list", "begin again without `after`"
    )


def _page(shown: list[dict[str, Any]], *, has_more: bool) -> dict[str, Any]:
    ids = {"first_id": shown[0]["id"], "last_id": shown[-1]["id"]} if shown else {"first_id": None, "last_id": None}
    return {"object": "list", "data": shown, **ids, "has_more": has_more}
