"""The short forms that people know, at the root: thin routes over the same verbs, for programs.

A browser that asks for `/jobs` or `/adapters` gets the page: these routes answer who does not ask for HTML.
"""

from contextlib import aclosing
from typing import Annotated, Any, Literal

from fastapi import Depends, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.routing import Match
from starlette.types import Scope

from burnish.core.errors import family_of
from burnish.server.routes.generate import Playground, Question, Reference, playground_of
from burnish.server.routes.jobs import Jobs, State, list_jobs
from burnish.server.routing import GuardedRoute, Place, Router, ServerSettings
from burnish.server.streams import unless_gone
from burnish.studio.queueing import jobs as queueing
from burnish.studio.recipes.given import Given
from burnish.studio.recipes.submitted import submit_given
from burnish.studio.registry import versions

Settings = Annotated[dict[str, Any], Field(description="Further settings of the stage: GET /api/v1/stages/NAME.")]


class ProgramRoute(GuardedRoute):
    """A route for programs: who asks for HTML gets the page at the same address."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        accepted = next((value for key, value in scope.get("headers", ()) if key == b"accept"), b"")
        return (Match.NONE, {}) if b"text/html" in accepted else super().matches(scope)


router = Router(tags=["short forms"])
router.route_class = ProgramRoute


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")

    settings: Settings = {}


class Train(_Asked):
    """A training: `stage` says which, as in `/api/v1/stages`."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"model": "builtin:pocket", "data": "file:data/uploads/rows.jsonl", "settings": {"epochs": 2}}
        }
    )

    model: Reference
    data: Reference
    stage: Literal["sft", "dpo", "kto", "orpo", "simpo", "reward", "grpo", "ppo", "pretrain"] = "sft"


class Evaluate(_Asked):
    """Scores of a model on rows, alone or against another model."""

    model_config = ConfigDict(json_schema_extra={"example": {"model": "builtin:pocket", "data": "demo.data@1"}})

    model: Reference
    data: Reference | None = None
    compare_with: Reference | None = None


class WeightedAdapter(BaseModel):
    """One of the adapters to combine: with the weight 1, which is the default, its change is added as it is."""

    model_config = ConfigDict(extra="forbid")

    adapter: Reference
    weight: Annotated[float, Field(allow_inf_nan=False)] = 1.0


class Merge(_Asked):
    """One adapter (`model`) is merged into its base; several `adapters` are combined into one."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"adapters": ["support@1", {"adapter": "sums@2", "weight": 0.5}]}}
    )

    model: Reference | None = None
    adapters: Annotated[list[Reference | WeightedAdapter] | None, Field(min_length=2, max_length=64)] = None

    @model_validator(mode="after")
    def one_of_both(self) -> "Merge":
        if (self.model is None) == (self.adapters is None):
            raise ValueError("give model, one adapter, or adapters, several")
        return self


class GenerateDataset(_Asked):
    """Synthetic rows; `generator` as in the settings of the stage `synthesize`."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"generator": {"kind": "pocket", "skill": "move_order", "rows": 100}}}
    )

    generator: dict[str, Any]


class Generate(Question):
    """What is asked, of one model."""

    model_config = ConfigDict(json_schema_extra={"example": {"model": "builtin:pocket", "prompt": "Hello"}})

    model: Reference


class Generated(BaseModel):
    """What a model answered."""

    model_config = ConfigDict(extra="allow")

    model: str
    answer: str


class Started(BaseModel):
    """A run that is queued: `GET status_url` says how it goes. `job_id` is its last job, `jobs` are all; there is none
    yet where the database did not answer in time: `notes` say so, and a worker queues the run within a minute."""

    job_id: int | None
    status_url: str
    run: str
    jobs: list[int]
    notes: list[str]


class Status(BaseModel):
    """How a job goes."""

    job_id: int
    status: State
    run: str
    step: str
    stage: str
    reason: str
    error: dict[str, Any] | None


def _start(stage: str, values: dict[str, Any], place: Any, settings: Any) -> Started:
    given = {key: value for key, value in values.items() if value is not None}
    found = submit_given(Given(stage=stage, values=given), workspace=place, allowed=settings.allowed_paths)
    ids = [job.id for job in found.jobs]
    last, url = (ids[-1], f"/jobs/{ids[-1]}/status") if ids else (None, f"/api/v1/runs/{found.run}")
    return Started(job_id=last, status_url=url, run=found.run, jobs=ids, notes=list(found.notes))


@router.post("/train", scope="run", status_code=202)
def train(asked: Train, place: Place, settings: ServerSettings) -> Started:
    """Queue a training."""
    return _start(asked.stage, {"base": asked.model, "data": asked.data, **asked.settings}, place, settings)


@router.post("/evaluate", scope="run", status_code=202)
def evaluate(asked: Evaluate, place: Place, settings: ServerSettings) -> Started:
    """Queue an evaluation."""
    own = asked.model_dump(include={"model", "data", "compare_with"})
    return _start("evaluate", {**own, **asked.settings}, place, settings)


@router.post("/merge", scope="run", status_code=202)
def merge(asked: Merge, place: Place, settings: ServerSettings) -> Started:
    """Queue a merge of an adapter into its base, or a combination of several adapters."""
    if asked.adapters is None:
        return _start("merge", {"model": asked.model, **asked.settings}, place, settings)
    parts = [WeightedAdapter(adapter=one) if isinstance(one, str) else one for one in asked.adapters]
    return _start("combine", {"adapters": [part.model_dump() for part in parts], **asked.settings}, place, settings)


@router.post("/dataset/generate", scope="run", status_code=202)
def generate_dataset(asked: GenerateDataset, place: Place, settings: ServerSettings) -> Started:
    """Queue the generation of synthetic rows."""
    return _start("synthesize", {"generator": asked.generator, **asked.settings}, place, settings)


@router.post("/generate", scope="run")
async def generate_answer(
    request: Request,
    asked: Generate,
    playground: Annotated[Playground, Depends(playground_of)],
    settings: ServerSettings,
) -> Generated:
    """The whole answer of one model; `POST /api/v1/generate` streams it, of several models at a time."""
    return await unless_gone(request, _answered(asked, playground, settings))


async def _answered(asked: Generate, playground: Playground, settings: Any) -> Generated:
    end: dict[str, Any] = {}
    events = playground.generate([asked.model], **asked.asked, allowed=settings.allowed_paths)
    async with aclosing(events):
        async for event in events:
            end = event
    if end["event"] == "error":
        raise family_of(end["code"])(end["code"], end["detail"], end["fix"])
    return Generated.model_validate(end)


@router.get("/jobs", scope="read", work="queue", response_model=Jobs)
def jobs_of_queue(place: Place) -> Response:
    """The first jobs of the queue, as `GET /api/v1/jobs` lists them."""
    return list_jobs(place)


@router.get("/jobs/{id}/status", scope="read", work="queue")
def job_status(id: Annotated[int, Path(ge=1, lt=1 << 53)], place: Place) -> Status:
    """How a job goes."""
    job = queueing.job(id, workspace=place)
    known = {"run": job.run, "step": job.step, "stage": job.stage, "reason": job.reason, "error": job.error}
    return Status.model_validate({"job_id": job.id, "status": job.state, **known})


@router.get("/adapters", scope="read")
def registered_adapters(place: Place) -> list[dict[str, Any]]:
    """The adapters of the registry, the newest version of each first."""
    return versions.listing(kind="adapter", workspace=place)
