"""`/v1/fine_tuning/jobs`: fine-tuning as OpenAI's clients drive it."""

import re
from collections.abc import AsyncGenerator, Iterator
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import Depends, Header, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from burnish.core.errors import AskError
from burnish.server.routes.jobs import revision_of
from burnish.server.routing import Place, Router, ServerSettings
from burnish.server.streams import Streams, event, streams_of
from burnish.server.threads import crews
from burnish.studio.finetuning import checkpoints, events, jobs

router = Router(prefix="/v1/fine_tuning", tags=["openai"], work="queue")
Auto = Literal["auto"]
After = Annotated[str | None, Query(description="The id of the last object of the page before.")]
Limit = Annotated[int, Query(ge=1, le=100)]
_SUPPORTED = ("supervised", "dpo")
_KEY = re.compile(r"metadata\[(?P<key>[^\[\]]{1,64})\]")
_METADATA: dict[str, Any] = {
    "name": "metadata",
    "in": "query",
    "style": "deepObject",
    "explode": True,
    "schema": {"type": "object", "additionalProperties": {"type": "string"}},
    "description": "Only jobs that have all of it, as `metadata[team]=a`.",
}


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Hyperparameters(_Asked):
    """`auto` is the default of burnish; the multiplier is of its default learning rate."""

    n_epochs: Annotated[int, Field(ge=1, le=1000)] | Auto = "auto"
    batch_size: Annotated[int, Field(ge=1, le=65536)] | Auto = "auto"
    learning_rate_multiplier: Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False)] | Auto = "auto"


class DpoHyperparameters(Hyperparameters):
    """Those of preferences; `beta` says how close the model stays to what it was."""

    beta: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)] | Auto = "auto"


class Supervised(_Asked):
    """Fine-tuning on answers."""

    hyperparameters: Hyperparameters = Hyperparameters()


class Dpo(_Asked):
    """Fine-tuning on preferences."""

    hyperparameters: DpoHyperparameters = DpoHyperparameters()


class Method(_Asked):
    """supervised or dpo, with the settings of that method alone."""

    type: str
    supervised: Supervised | None = None
    dpo: Dpo | None = None

    @field_validator("type")
    @classmethod
    def is_supported(cls, type: str) -> str:
        if type not in _SUPPORTED:
            raise ValueError(f"the method {type!r:.40} is not supported here: use supervised or dpo")
        return type

    @model_validator(mode="after")
    def has_settings_of_its_type_alone(self) -> "Method":
        other = self.dpo if self.type == "supervised" else self.supervised
        if other is not None:
            raise ValueError(f"the method is {self.type}: remove the settings of the other one")
        return self


class NewJob(_Asked):
    """A fine-tuning. `model` is any that burnish knows: `builtin:pocket`, `hub:owner/name`, `recipe.step@3`, a name."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "model": "builtin:pocket",
                "training_file": "file-fbd750ee488671f2fb3463d9",
                "method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2}}},
                "suffix": "support",
                "seed": 1,
            }
        },
    )

    model: Annotated[str, Field(min_length=1, max_length=1024)]
    training_file: Annotated[str, Field(max_length=200)]
    validation_file: Annotated[str | None, Field(max_length=200)] = None
    method: Method | None = None
    hyperparameters: Hyperparameters | None = None
    """Of supervised fine-tuning, as older clients send them."""
    suffix: Annotated[str | None, Field(min_length=1, max_length=64)] = None
    seed: Annotated[int | None, Field(ge=0, le=2**63 - 1)] = None
    metadata: Annotated[dict[str, Annotated[str, Field(max_length=512)]] | None, Field(max_length=16)] = None
    integrations: list[dict[str, Any]] | None = None

    @field_validator("integrations")
    @classmethod
    def no_integrations(cls, integrations: list[dict[str, Any]] | None) -> None:
        if integrations:
            names = ", ".join(str(one.get("type"))[:40] for one in integrations)
            raise ValueError(f"integrations are not supported ({names}): trackers are a setting of burnish's recipes")

    @model_validator(mode="after")
    def hyperparameters_once(self) -> "NewJob":
        if self.method is not None and self.hyperparameters is not None:
            raise ValueError("hyperparameters belong into method: remove one of them")
        return self

    @property
    def whole_method(self) -> dict[str, Any]:
        """The method with all of its settings."""
        if self.method is None:
            given = self.hyperparameters or Hyperparameters()
            return {"type": "supervised", "supervised": {"hyperparameters": given.model_dump()}}
        chosen = (
            self.method.supervised or Supervised() if self.method.type == "supervised" else self.method.dpo or Dpo()
        )
        return {"type": self.method.type, self.method.type: chosen.model_dump()}


class JobError(BaseModel):
    """Why a job failed."""

    code: str
    message: str
    param: str | None


class Job(BaseModel):
    """A fine-tuning. `fine_tuned_model` is what recipes, the playground and the next job call its result; `run` is the
    run of burnish that it is."""

    id: str
    object: Literal["fine_tuning.job"]
    created_at: int
    model: str
    fine_tuned_model: str | None
    finished_at: int | None
    estimated_finish: int | None
    status: Literal["validating_files", "queued", "running", "succeeded", "failed", "cancelled", "paused"]
    training_file: str
    validation_file: str | None
    hyperparameters: dict[str, Any]
    method: dict[str, Any]
    seed: int
    suffix: str | None
    user_provided_suffix: str | None
    metadata: dict[str, str] | None
    trained_tokens: int | None
    error: JobError | None
    result_files: list[str]
    integrations: list[dict[str, Any]] | None
    organization_id: str
    run: str


class JobList(BaseModel):
    """Jobs, the newest first. `damaged` names the runs whose record cannot be read."""

    object: Literal["list"]
    data: list[Job]
    first_id: str | None
    last_id: str | None
    has_more: bool
    damaged: list[str]


class JobEvent(BaseModel):
    """Something that happened in a job; of metrics `data` has step, train_loss, valid_loss and others."""

    object: Literal["fine_tuning.job.event"]
    id: str
    created_at: int
    level: Literal["info", "warn", "error"]
    message: str
    type: Literal["message", "metrics"]
    data: dict[str, Any]


class JobEventList(BaseModel):
    """Events, the newest first."""

    object: Literal["list"]
    data: list[JobEvent]
    first_id: str | None
    last_id: str | None
    has_more: bool


class JobCheckpoint(BaseModel):
    """A checkpoint of a job: `fine_tuned_model_checkpoint` is the model that it is. A metric that is no number, such as
    NaN, is null."""

    object: Literal["fine_tuning.job.checkpoint"]
    id: str
    created_at: int
    fine_tuning_job_id: str
    fine_tuned_model_checkpoint: str
    step_number: int
    metrics: dict[str, float | None]


class JobCheckpointList(BaseModel):
    """Checkpoints, the newest first."""

    object: Literal["list"]
    data: list[JobCheckpoint]
    first_id: str | None
    last_id: str | None
    has_more: bool


@router.post("/jobs", scope="run", work="slow")
def create_fine_tuning_job(asked: NewJob, place: Place, settings: ServerSettings) -> Job:
    """Start a fine-tuning: its files are checked, then the model is trained."""
    given = asked.model_dump(include={"model", "training_file", "validation_file", "suffix", "seed", "metadata"})
    options: dict[str, Any] = {"workspace": place, "allowed": settings.allowed_paths}
    return Job.model_validate(jobs.create_job(**given, method=asked.whole_method, **options))


@router.get("/jobs", scope="read", openapi_extra={"parameters": [_METADATA]})
def list_fine_tuning_jobs(request: Request, place: Place, limit: Limit = 20, after: After = None) -> JobList:
    """The jobs, the newest first; `metadata[key]=value` selects those that have it."""
    wanted = _wanted(request.query_params.multi_items())
    return JobList.model_validate(jobs.list_jobs(limit=limit, after=after, metadata=wanted, workspace=place))


def _wanted(given: list[tuple[str, str]]) -> dict[str, str]:
    """The metadata that a query asks for. Errors: AskError `ask.wrong-value`."""
    wanted: dict[str, str] = {}
    for name, value in given:
        match = _KEY.fullmatch(name)
        if (match is None or match["key"] in wanted) and name.startswith("metadata"):
            what = f"{name!r:.100}: it is given twice, or is no metadata[KEY]"
            raise AskError("ask.wrong-value", what, "ask for each key once, as metadata[team]=a")
        if match is not None:
            wanted[match["key"]] = value
    return wanted


@router.get("/jobs/{job_id}", scope="read")
def retrieve_fine_tuning_job(job_id: str, place: Place) -> Job:
    """One job."""
    return Job.model_validate(jobs.get_job(job_id, workspace=place))


@router.post("/jobs/{job_id}/cancel", scope="run")
def cancel_fine_tuning_job(job_id: str, place: Place) -> Job:
    """Cancel a job. One that runs saves its state first."""
    return Job.model_validate(jobs.cancel_job(job_id, workspace=place))


@router.post("/jobs/{job_id}/pause", scope="run")
def pause_fine_tuning_job(job_id: str, place: Place) -> Job:
    """Pause a job: it saves its state and gives its place to others. It is `paused` once it has stopped."""
    return Job.model_validate(jobs.pause_job(job_id, workspace=place))


@router.post("/jobs/{job_id}/resume", scope="run")
def resume_fine_tuning_job(job_id: str, place: Place) -> Job:
    """Continue a paused job from its last checkpoint."""
    return Job.model_validate(jobs.resume_job(job_id, workspace=place))


@router.get("/jobs/{job_id}/checkpoints", scope="read")
def list_fine_tuning_checkpoints(
    job_id: str, place: Place, limit: Limit = 10, after: After = None
) -> JobCheckpointList:
    """The checkpoints of a job, the newest first."""
    found = checkpoints.list_checkpoints(job_id, limit=limit, after=after, workspace=place)
    return JobCheckpointList.model_validate(found)


@router.get(
    "/jobs/{job_id}/events",
    scope="read",
    response_model=JobEventList,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
def list_fine_tuning_events(
    job_id: str,
    place: Place,
    streams: Annotated[Streams, Depends(streams_of)],
    limit: Limit = 20,
    after: After = None,
    stream: bool = False,
    last_event_id: Annotated[str | None, Header(max_length=300)] = None,
) -> JobEventList | StreamingResponse:
    """The events of a job, the newest first; with `stream`, as they happen, the oldest first, until the job ends.

    A stream continues after the `id` of its last event, as `Last-Event-ID` or `after`."""
    if not stream:
        return JobEventList.model_validate(events.list_events(job_id, limit=limit, after=after, workspace=place))
    watch = partial(revision_of, place)
    following = events.follow_events(job_id, after=last_event_id or after, revision=watch, workspace=place)
    return streams.response(_pieces(following), first=b"")  # their clients take `retry` for an event


async def _pieces(following: Iterator[tuple[dict[str, Any], str] | None]) -> AsyncGenerator[bytes]:
    while (found := await crews.run("streams", next, following, "end")) != "end":
        yield b"" if found is None else event(found[0], id=found[1])
    yield b"data: [DONE]\n\n"
