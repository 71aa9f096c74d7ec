"""Runs: list, show, compare, stop."""

from collections.abc import Callable
from pathlib import Path as Folder
from typing import Annotated, Any

from fastapi import Query, Response
from pydantic import BaseModel, ConfigDict, Field

from burnish.server.problems import Problem, shown
from burnish.server.routes.runs.parameters import Number, Recipe
from burnish.server.routing import Place, Router
from burnish.server.shared.listed import listed
from burnish.studio import runs as studio
from burnish.studio.listing import pages
from burnish.studio.views.detail import run_detail

router = Router(tags=["runs"])
RunName = Annotated[str, Query(max_length=300, description="recipe, recipe/number or recipe/number/step.")]


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
    """Some steps that were run; `next` is the cursor of those after them, `total` the number of all."""

    runs: list[RunRow]
    next: str | None
    total: int


class GroupStep(RunRow):
    """A step of a listed run; `action` is `reuse` for one that an earlier run had finished."""

    step: str
    action: str | None


class RunGroup(BaseModel):
    """A whole run with its steps. `reason` says why it did not succeed, or what is damaged. `seconds` is how long its
    steps have run, `waited` how long the first one waited before."""

    run: str
    recipe: str
    number: int
    state: str
    reason: str | None
    created: float | None
    seconds: float | None
    waited: float | None
    steps: list[GroupStep]


class GroupPage(BaseModel):
    """Some runs; `next` is the cursor of those after them, `total` the number of all."""

    runs: list[RunGroup]
    next: str | None
    total: int


class Filter(BaseModel):
    """Which runs are listed; every word of `q` is in a run's names, stages, kinds or reasons,
    and `#3` is run number 3."""

    model_config = ConfigDict(extra="forbid")

    recipe: Annotated[str | None, Field(max_length=100)] = None
    stage: Annotated[str | None, Field(max_length=100)] = None
    state: Annotated[str | None, Field(max_length=30)] = None
    q: Annotated[str, Field(max_length=200)] = ""
    limit: Annotated[int, Field(ge=1, le=pages.MOST_ITEMS)] = 50
    cursor: Annotated[str | None, Field(max_length=1000)] = None
    order: pages.Order = "newest"

    @property
    def arguments(self) -> dict[str, Any]:
        return {**self.model_dump(exclude={"q"}), "text": self.q}


class Choice(BaseModel):
    """What was chosen for a setting that was `auto`, and why."""

    field: str
    value: Any
    reason: str


class Check(BaseModel):
    """A check of a training on its own rows."""

    model_config = ConfigDict(extra="allow")

    name: str
    verdict: str
    found: str


class Failure(BaseModel):
    """The error that ended a step, and how to fix it."""

    model_config = ConfigDict(extra="allow")

    code: str
    what: str
    fix: str


class ShownStep(RunRow):
    """What is known of a step that has started."""

    folder: str
    settings: dict[str, Any]
    inputs: dict[str, str]
    chosen: list[Choice]
    notes: list[str]
    error: Failure | None
    path: str | None
    checks: list[Check]
    certificate: dict[str, Any] | None
    provenance: dict[str, Any]


class RunStep(BaseModel):
    """A step of a run: what was planned, and `shown` once it has started. `run` is where it is done."""

    step: str
    stage: str | None
    action: str | None
    why: str
    run: str
    state: str
    shown: ShownStep | None
    problem: Failure | None


class RunDetail(BaseModel):
    """One run. `values` is its recipe; `cursor` is where `events?after=` begins that the answer does not have.

    `stop_requested` says that it was requested to stop, and another request ends it at once. `seconds` is how long its
    steps have run, `waited` how long the first one waited before.
    """

    run: str
    recipe: str
    number: int
    state: str
    stop_requested: bool
    created: float | None
    seconds: float | None
    waited: float | None
    values: dict[str, Any]
    notes: list[str]
    warnings: list[str]
    cursor: str
    steps: list[RunStep]


class Stopped(BaseModel):
    """The runs that were requested to stop."""

    requested: list[str]


class Comparison(BaseModel):
    """What differs between two runs: by step, `settings`, `inputs` and `metrics` as `[of one, of the other]`."""

    runs: list[str]
    steps: dict[str, dict[str, Any]]


@router.get("/runs", scope="read", work="queue", response_model=RunPage)
def list_runs(filter: Annotated[Filter, Query()], place: Place) -> Response:
    """The steps that were run, newest first, by page; the list may be two seconds old."""
    return _listed(RunPage, pages.steps_page, filter, place)


@router.get("/runs/grouped", scope="read", work="queue", response_model=GroupPage)
def list_whole_runs(filter: Annotated[Filter, Query()], place: Place) -> Response:
    """Whole runs with their steps, newest first, by page; the list may be two seconds old."""
    return _listed(GroupPage, pages.runs_page, filter, place)


def _listed(
    model: type[RunPage | GroupPage], verb: Callable[..., pages.Page], filter: Filter, place: Folder
) -> Response:
    def find(max_age: float) -> bytes:
        page = verb(**filter.arguments, max_age=max_age, workspace=place)
        found = model.model_validate({"runs": page.items, "next": page.next, "total": page.total})
        return found.model_dump_json().encode()

    return Response(listed.answer((model, place, filter.model_dump_json()), find), media_type="application/json")


@router.get("/runs/compare", scope="read")
def compare_runs(one: RunName, other: RunName, place: Place) -> Comparison:
    """What differs in settings, inputs and measures."""
    return Comparison.model_validate(studio.diff(one, other, workspace=place))


@router.get("/runs/{recipe}/{number}", scope="read", work="queue", responses={404: {"model": Problem}})
def show_run(recipe: Recipe, number: Number, place: Place) -> RunDetail:
    """One run with its steps: settings, what was chosen, notes, errors, measures, certificates."""
    return shown(RunDetail, run_detail(recipe, number, workspace=place), f"{recipe}/{number}")


@router.post("/runs/{recipe}/{number}/stop", scope="run", work="queue")
def stop_run(recipe: Recipe, number: Number, place: Place) -> Stopped:
    """Stop a run after it saves its state; a second request stops it at once."""
    return Stopped(requested=studio.stop(f"{recipe}/{number}", workspace=place))
