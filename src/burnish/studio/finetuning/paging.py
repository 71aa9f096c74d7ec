"""Pages as OpenAI's lists have them: `limit` objects after the one with an id, and whether there are more."""

from collections.abc import Sequence
from typing import Any

from burnish.core.errors import AskError


def page(rows: Sequence[dict[str, Any]], limit: int, after: str | None, what: str) -> dict[str, Any]:
    """A page of objects that have an `id`. Errors: AskError `ask.bad-reference` for an unknown `after`."""
    begin = 0
    if after is not None:
        begin = next((place for place, row in enumerate(rows, start=1) if row["id"] == after), -1)
        if begin < 0:
            fix = "begin again without `after`"
            raise AskError("ask.bad-reference", f"after: there is no {what} {after!r:.100} in this list", fix)
    shown = list(rows[begin : begin + limit])
    ids = {"first_id": shown[0]["id"], "last_id": shown[-1]["id"]} if shown else {"first_id": None, "last_id": None}
    return {"object": "list", "data": shown, **ids, "has_more": begin + limit < len(rows)}
