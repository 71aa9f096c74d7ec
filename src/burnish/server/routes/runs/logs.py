"""The log of a step: by parts, and searched."""

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel

from burnish.server.routes.runs.parameters import Number, Recipe, Step
from burnish.server.routing import Place, Router
from burnish.studio.views import logs as log_views

router = Router(tags=["steps"])
_AT = "/runs/{recipe}/{number}/{step}/log"
Position = Annotated[int, Query(ge=-(1 << 53), lt=1 << 53, description="Below 0: counted from the end.")]


class LogLine(BaseModel):
    """A line without codes of terminals and without secrets; a line that names no level has that of the one before.

    `at` is its time with the offset of the server's zone; null for a line that names none.
    """

    position: int
    level: log_views.Level | None
    at: str | None
    text: str


class LogPart(BaseModel):
    """Whole lines. The next part starts at `end`; `size` is the end of the log, its first `dropped` bytes are gone."""

    start: int
    end: int
    size: int
    dropped: int
    lines: list[LogLine]


class FoundLines(BaseModel):
    """Lines that were found. `next` is the `start` with which the search goes on; none at the end."""

    lines: list[LogLine]
    next: int | None
    size: int


@router.get(_AT, scope="read")
def read_step_log(
    recipe: Recipe, number: Number, step: Step, place: Place, start: Position = -65_536, end: Position | None = None
) -> LogPart:
    """The lines of a log between two positions, at most 1 MiB. Positions stay when the log is rotated."""
    return LogPart.model_validate(log_views.log(recipe, number, step, start, end, workspace=place))


@router.get(_AT + "/search", scope="read")
def search_step_log(
    recipe: Recipe,
    number: Number,
    step: Step,
    place: Place,
    q: Annotated[str, Query(max_length=200)] = "",
    level: Annotated[log_views.Level, Query(description="This level and graver ones.")] = "debug",
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    start: Annotated[int, Query(ge=0, lt=1 << 53)] = 0,
) -> FoundLines:
    """Lines of a log that hold a text, in any case, and have a level."""
    found = log_views.search(recipe, number, step, q, level, limit, start, workspace=place)
    return FoundLines.model_validate(found)
