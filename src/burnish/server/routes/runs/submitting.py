"""Submit runs to the queue, and resume them."""

from typing import Annotated, Any

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field

from burnish.core.runs.submitted import HIGHEST_PRIORITY, LONGEST_LIMIT, MOST_RETRIES, SHORTEST_LIMIT, Options
from burnish.server.routes.jobs import Job
from burnish.server.routes.plans import Asked
from burnish.server.routes.runs.parameters import Number, Recipe
from burnish.server.routing import Place, Router, ServerSettings
from burnish.studio.queueing.submitting import Submission as _Submission
from burnish.studio.recipes.given import Given
from burnish.studio.recipes.submitted import resume_in_queue, submit_given

router = Router(tags=["runs"])


class Queued(BaseModel):
    """How the steps of a run are queued."""

    priority: Annotated[int, Field(ge=-HIGHEST_PRIORITY, le=HIGHEST_PRIORITY)] = 0
    """Steps of a higher priority start first."""
    retries: Annotated[int, Field(ge=0, le=MOST_RETRIES)] = 2
    """How often a step starts again after an error that may pass."""
    time_limit: Annotated[float | None, Field(ge=SHORTEST_LIMIT, le=LONGEST_LIMIT)] = None
    """Seconds that a step may run."""

    @property
    def options(self) -> Options:
        return Options(self.priority, self.retries, self.time_limit)


class AskedRun(Asked, Queued):
    """A recipe or a stage, as for a plan, and how its steps are queued."""


class AskedStage(Queued):
    """The settings of one stage, and how it is queued."""

    model_config = ConfigDict(extra="forbid")

    values: dict[str, Any] = {}
    settings: Annotated[list[str], Field(max_length=1000)] = []
    force: bool = False
    """Run it although there is a result."""


class Submission(BaseModel):
    """A submitted run and its jobs; `notes` are those of its plan."""

    run: str
    jobs: list[Job]
    notes: list[str]

    @classmethod
    def of(cls, found: "_Submission") -> "Submission":
        return cls.model_validate(found.as_dict())


@router.post("/runs", scope="run", status_code=202)
def submit_run(asked: AskedRun, place: Place, settings: ServerSettings) -> Submission:
    """Queue the steps of a recipe; finished steps are reused."""
    allowed = settings.allowed_paths
    return Submission.of(submit_given(asked.given, asked.options, workspace=place, allowed=allowed, **asked.selection))


@router.post("/stages/{name}/runs", scope="run", status_code=202)
def submit_stage(
    name: Annotated[str, Path(max_length=100, examples=["sft"])],
    asked: AskedStage,
    place: Place,
    settings: ServerSettings,
) -> Submission:
    """Queue one stage with its settings."""
    given, force = Given(stage=name, values=asked.values, settings=asked.settings), ["*"] if asked.force else []
    allowed = settings.allowed_paths
    return Submission.of(submit_given(given, asked.options, force=force, workspace=place, allowed=allowed))


@router.post("/runs/{recipe}/{number}/resume", scope="run", status_code=202)
def resume_run(recipe: Recipe, number: Number, place: Place, settings: ServerSettings) -> Submission:
    """Queue a run again: finished steps are reused, a stopped one resumes from its checkpoint."""
    found = resume_in_queue(recipe, number, workspace=place, allowed=settings.allowed_paths)
    return Submission.of(found)
