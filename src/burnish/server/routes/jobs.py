"""Jobs: the steps of submitted runs, as they wait, run and end; and the workers that run them."""

from collections.abc import AsyncGenerator
from pathlib import Path as Folder
from typing import Annotated, Any, Literal

from fastapi import Depends, Header, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.responses import StreamingResponse

from burnish.core.runs.submitted import HIGHEST_PRIORITY
from burnish.server.routing import Place, Router
from burnish.server.shared.cached import Kept
from burnish.server.streams import Streams, event, streams_of
from burnish.server.threads import crews
from burnish.studio.queueing import jobs as studio
from burnish.studio.queueing import watching

router = Router(tags=["jobs"], work="queue")
_revisions: Kept[int] = Kept(0.2)
Id = Annotated[int, Path(ge=1, lt=1 << 53, description="The number of the job.", examples=[1])]
State = Literal["queued", "running", "succeeded", "failed", "cancelled"]


class JobError(BaseModel):
    """Why a job failed, and how to fix it."""

    model_config = ConfigDict(extra="allow")

    code: str
    what: str
    fix: str


class Job(BaseModel):
    """One step of a submitted run. Times are in seconds since 1970; `revision` grows with each change of any job."""

    id: int
    run: str
    recipe: str
    number: int
    step: str
    stage: str
    needs: list[int]
    state: State
    slot: str
    priority: int
    position: float
    attempts: int
    max_attempts: int
    losses: int
    not_before: float
    time_limit: float | None
    launcher: str
    worker: str | None
    requested: Literal["stop", "kill"] | None
    error: JobError | None
    reason: str
    created: float
    started: float | None
    ended: float | None
    revision: int


class Jobs(BaseModel):
    """Jobs in the order in which they start, those that ended last. `events?after=revision` tells what comes after.

    `next` is the `after` of the page behind this one, null for the last; `left_out` is the number of jobs that are not
    on this page, `counts` that of all jobs by state.
    """

    jobs: list[Job]
    next: int | None
    left_out: int
    counts: dict[State, int]
    revision: int


class Worker(BaseModel):
    """A process that runs jobs. `has_ended` says that it is known to be dead."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    slots: dict[str, int]
    version: str
    joined: float
    seen: float
    has_ended: bool


class Move(BaseModel):
    """Where a waiting job goes: before another one, or behind all; or to another priority."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"before": 3}, {"priority": 10}]})

    before: Annotated[int | None, Field(ge=1, lt=1 << 53)] = None
    priority: Annotated[int | None, Field(ge=-HIGHEST_PRIORITY, le=HIGHEST_PRIORITY)] = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "Move":
        if self.before is not None and self.priority is not None:
            raise ValueError("give before or priority, not both")
        return self


@router.get("/jobs", scope="read", response_model=Jobs)
def list_jobs(
    place: Place,
    state: State | None = None,
    run: Annotated[str | None, Query(max_length=200, examples=["demo/3"])] = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 500,
    after: Annotated[int | None, Query(ge=1, lt=1 << 53, description="The last job of the page before.")] = None,
) -> Response:
    """Jobs in the order in which they start, those that have ended last, the newest first."""
    revision = watching.revision(workspace=place)  # before they are read: what changes meanwhile is told
    counts = dict(watching.counts(run=run, workspace=place))
    found = studio.jobs(state=state, run=run, limit=limit + 1, after=after, workspace=place)
    shown = [Job.model_validate(job.as_dict()) for job in found[:limit]]
    left_out = max(0, (sum(counts.values()) if state is None else counts[state]) - len(shown))
    following = shown[-1].id if len(found) > limit else None
    page = Jobs(jobs=shown, next=following, left_out=left_out, counts=counts, revision=revision)
    return Response(page.model_dump_json(), media_type="application/json")  # written here, not in the event loop


@router.get("/workers", scope="read")
def list_workers(place: Place) -> list[Worker]:
    """The workers that have not left, the oldest first."""
    return [Worker.model_validate(worker) for worker in watching.workers(workspace=place)]


@router.get(
    "/jobs/events",
    scope="read",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def follow_jobs(
    place: Place,
    streams: Annotated[Streams, Depends(streams_of)],
    last_event_id: Annotated[int | None, Header(ge=0, lt=1 << 53)] = None,
    after: Annotated[int | None, Query(ge=0, lt=1 << 53, description="The revision of a list of jobs.")] = None,
) -> Response:
    """Each job that changes, as it is then: from `Last-Event-ID` or `after` on, else from now on."""
    given = last_event_id if last_event_id is not None else after
    start = given if given is not None else await crews.run("queue", watching.revision, workspace=place)
    return streams.response(_pieces(place, start))


@router.get("/jobs/{id}", scope="read")
def show_job(id: Id, place: Place) -> Job:
    """One job."""
    return Job.model_validate(studio.job(id, workspace=place).as_dict())


@router.post("/jobs/{id}/cancel", scope="run")
def cancel_job(id: Id, place: Place) -> Job:
    """Cancel a job, and those that need it; one that runs saves its state first."""
    [job] = studio.cancel_jobs([id], workspace=place)
    return Job.model_validate(job.as_dict())


@router.post("/jobs/{id}/resume", scope="run")
def resume_job(id: Id, place: Place) -> list[Job]:
    """Queue the failed and cancelled jobs of the job's run again: steps resume from their last checkpoints."""
    run = studio.job(id, workspace=place).run
    return [Job.model_validate(job.as_dict()) for job in studio.resume_run(run, workspace=place)]


@router.post("/jobs/{id}/move", scope="run")
def move_job(id: Id, move: Move, place: Place) -> Job:
    """Change the place of a waiting job in the queue."""
    if move.priority is not None:
        return Job.model_validate(studio.prioritise_job(id, move.priority, workspace=place).as_dict())
    return Job.model_validate(studio.move_job(id, before=move.before, workspace=place).as_dict())


def revision_of(place: Folder) -> int:
    """The number of the newest change of a job, as it was at most 0.2 s ago: asked once for all who watch."""
    return _revisions.get(place, lambda: watching.revision(workspace=place))


async def _pieces(place: Folder, cursor: int) -> AsyncGenerator[bytes]:
    while True:
        newest = await crews.run("streams", revision_of, place)
        changed: list[Any] = []
        if newest != cursor:
            changed = await crews.run("streams", watching.changed_jobs, cursor, workspace=place)
        yield b"".join(_event(job) for job in changed)
        cursor = changed[-1].revision if changed else cursor


def _event(job: Any) -> bytes:
    shown = Job.model_validate(job.as_dict())
    return event(shown.model_dump(mode="json"), id=str(job.revision))
