"""Runs: list, show, compare, stop."""

from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, ConfigDict

from burnish.server.problems import Problem
from burnish.server.routes.runs.parameters import Number, Recipe
from burnish.server.routing import Place, Router
from burnish.studio import runs as studio
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
    """Some runs; `next` is the cursor of those after them."""

    runs: list[RunRow]
    next: str | None = None


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
    """One run. `values` is its recipe; `cursor` is where `events?after=` begins that the answer does not have."""

    run: str
    recipe: str
    number: int
    state: str
    created: float | None
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


@router.get("/runs", scope="read")
def list_runs(place: Place) -> RunPage:
    """The steps that were run, newest first."""
    return RunPage(runs=[RunRow.model_validate(row) for row in studio.runs(workspace=place)])


@router.get("/runs/compare", scope="read")
def compare_runs(one: RunName, other: RunName, place: Place) -> Comparison:
    """What differs in settings, inputs and measures."""
    return Comparison.model_validate(studio.diff(one, other, workspace=place))


@router.get("/runs/{recipe}/{number}", scope="read", responses={404: {"model": Problem}})
def show_run(recipe: Recipe, number: Number, place: Place) -> RunDetail:
    """One run with its steps: settings, what was chosen, notes, errors, measures, certificates."""
    return RunDetail.model_validate(run_detail(recipe, number, workspace=place))


@router.post("/runs/{recipe}/{number}/stop", scope="run")
def stop_run(recipe: Recipe, number: Number, place: Place) -> Stopped:
    """Stop a run after it saves its state; a second request stops it at once."""
    return Stopped(requested=studio.stop(f"{recipe}/{number}", workspace=place))
