"""What a step of a run has: curves, rows with their losses, completions with their rewards, files, proof, sample."""

import mimetypes
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from burnish.server.routes.runs.parameters import Number, Recipe, Step
from burnish.server.routing import Place, Router
from burnish.server.security.files import SentFile, SentText
from burnish.server.security.headers import policy_of_file
from burnish.studio import rollouts as rollout_views
from burnish.studio import rows as row_views
from burnish.studio.views import curves as curve_views
from burnish.studio.views import files as file_views
from burnish.studio.views import logs as log_views

router = Router(tags=["steps"])
_AT = "/runs/{recipe}/{number}/{step}"
Count = Annotated[int | None, Query(ge=0, le=10_000)]

_Value = float | Literal["NaN", "Infinity", "-Infinity"]


class Curve(BaseModel):
    """A metric by step. `count` is the number of points before thinning; NaN and infinities are strings.

    `smoothed` is the exponential moving average over all points, at the points that are kept; `weight` is the sum of
    the weights of the last one. Both are null where no smoothing was asked for.
    """

    model_config = ConfigDict(ser_json_inf_nan="strings")

    steps: list[int]
    values: list[_Value]
    at: list[float]
    count: int
    smoothed: list[_Value] | None = None
    weight: float | None = None


class Curves(BaseModel):
    """The metrics of a step."""

    run: str
    curves: dict[str, Curve]


class Ledger(BaseModel):
    """Rows of a training with their losses, or completions with their rewards."""

    model_config = ConfigDict(extra="allow")

    run: str
    state: str


class File(BaseModel):
    """A file of a step; `modified` is in seconds since 1970."""

    name: str
    bytes: int
    modified: float


class Files(BaseModel):
    """The files of a step, by name; `more` were left out."""

    run: str
    files: list[File]
    more: int


class Proof(BaseModel):
    """The checks of a training on its own rows."""

    model_config = ConfigDict(extra="allow")

    held: int
    failed: int
    checks: list[dict[str, Any]]


@router.get(_AT + "/curves", scope="read")
def list_curves(
    recipe: Recipe,
    number: Number,
    step: Step,
    place: Place,
    key: Annotated[
        list[str] | None,
        Query(max_length=100, description="Metrics; all without it. One that is not there yet is left out."),
    ] = None,
    points: Annotated[int, Query(ge=curve_views.FEWEST_POINTS, le=20_000)] = 2000,
    smoothing: Annotated[
        float, Query(ge=0, lt=1, description="Of the moving average that is given too, per step; 0 gives none.")
    ] = 0,
) -> Curves:
    """Curves of metrics, thinned so that the extremes stay."""
    name = f"{recipe}/{number}/{step}"
    [found] = curve_views.curves(name, key, points, smoothing=smoothing, workspace=place)
    return Curves.model_validate(found)


@router.get(_AT + "/rows", scope="read", work="slow")
def list_ledger_rows(
    recipe: Recipe,
    number: Number,
    step: Step,
    place: Place,
    worst: Count = None,
    best: Count = None,
    row: Annotated[list[str], Query(max_length=1000)] = [],  # noqa: B006
    sort: Literal["last", "mean", "rise"] = "last",
    at: Annotated[
        int | None, Query(ge=0, lt=1 << 53, description="Only rows that this optimizer step visited.")
    ] = None,
) -> Ledger:
    """Rows of a training with their text and their loss at each visit: those with the highest loss, or by id."""
    asked: dict[str, Any] = {"worst": worst, "best": best, "row": row, "sort": sort, "at": at}
    return Ledger.model_validate(row_views.rows(f"{recipe}/{number}/{step}", **asked, workspace=place))


@router.get(_AT + "/rollouts", scope="read", work="slow")
def list_rollouts(
    recipe: Recipe,
    number: Number,
    step: Step,
    place: Place,
    at: Annotated[int | None, Query(ge=0, lt=1 << 53)] = None,
    worst: Count = None,
    best: Count = None,
) -> Ledger:
    """Completions that a step of a training on rewards used, with their rewards."""
    name = f"{recipe}/{number}/{step}"
    return Ledger.model_validate(rollout_views.rollouts(name, at=at, worst=worst, best=best, workspace=place))


@router.get(_AT + "/files", scope="read")
def list_step_files(recipe: Recipe, number: Number, step: Step, place: Place) -> Files:
    """The files of a step: its records and logs, and below `out/` its artifact."""
    return Files.model_validate(file_views.list_files(recipe, number, step, workspace=place))


@router.get(
    _AT + "/files/{path:path}",
    scope="read",
    head=True,
    response_class=SentFile,
    responses={200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}},
)
def read_step_file(
    recipe: Recipe,
    number: Number,
    step: Step,
    path: Annotated[str, Path(max_length=1024)],
    place: Place,
    download: bool = False,
) -> Response:
    """One file of a step, or with `Range` a part of it. A page among them is shown without scripts, a log as text
    without secrets."""
    found = file_views.file_of(recipe, number, step, path, workspace=place)
    kind = mimetypes.guess_type(found.name)[0] or "application/octet-stream"
    headers = {"Content-Security-Policy": policy_of_file(), "X-Frame-Options": "SAMEORIGIN"}
    disposition = "attachment" if download else "inline"
    if log_views.is_log(path):
        headers["Content-Disposition"] = f"{disposition}; filename*=utf-8''{quote(found.name)}"
        return SentText(log_views.log_text(recipe, number, step, path, workspace=place), headers=headers)
    return SentFile(found, media_type=kind, filename=found.name, headers=headers, content_disposition_type=disposition)


@router.get(_AT + "/proof", scope="read")
def show_proof(recipe: Recipe, number: Number, step: Step, place: Place) -> Proof:
    """The checks of a training on its own rows."""
    return Proof.model_validate(file_views.proof_of(recipe, number, step, workspace=place))


@router.get(_AT + "/samples", scope="read")
def list_samples(recipe: Recipe, number: Number, step: Step, place: Place) -> list[dict[str, Any]]:
    """The first rows of the dataset that the step made; none if it made none."""
    return file_views.sample_of(recipe, number, step, workspace=place)
