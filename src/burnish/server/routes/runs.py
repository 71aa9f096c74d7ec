"""Runs: the steps that were run, newest first."""

from typing import Any

from pydantic import BaseModel

from burnish.server.routing import Place, Router
from burnish.studio import runs as studio

router = Router(tags=["runs"])


class RunRow(BaseModel):
    """A step that was run. `run` is `recipe/number/step`; times are in seconds since 1970."""

    run: str
    stage: str | None
    state: str
    seconds: float | None
    created: float | None
    attempts: int | None
    reason: str
    kind: str | None
    metrics: dict[str, Any]


class RunPage(BaseModel):
    """Some runs; `next` is the cursor of those after them."""

    runs: list[RunRow]
    next: str | None = None


@router.get("/runs", scope="read")
def list_runs(place: Place) -> RunPage:
    """The steps that were run, newest first."""
    return RunPage(runs=[RunRow.model_validate(row) for row in studio.runs(workspace=place)])
