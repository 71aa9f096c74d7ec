"""The profile of a dataset: the numbers of the stage `profile`, which is queued where no run has made them yet."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from burnish.core.errors import BurnishError
from burnish.core.files import read_json
from burnish.core.plan import PlannedStep
from burnish.core.runs.run import Run
from burnish.core.runs.submitted import SubmittedRun
from burnish.core.runs.workspace import Workspace
from burnish.jobs.queue.job import Job
from burnish.studio.datasets.names import find
from burnish.studio.planning import plan, stage_recipe
from burnish.studio.queueing.jobs import jobs
from burnish.studio.queueing.submitting import submit_stage

STAGE = "profile"


def profile(
    name: str, *, settings: Mapping[str, Any] | None = None, workspace: Path | str | None = None
) -> dict[str, Any]:
    """The profile of a dataset as it is now: `state` (`none`, `queued`, `running`, `failed`, `succeeded`), `run`, the
    `job` that makes it, its `error`, and `profile`, the numbers of its `profile.json`.

    `settings` are those of the stage. Errors: AskError `ask.bad-reference`; those of a plan.
    """
    place = Workspace.find(workspace)
    step = _planned(name, settings or {}, place)
    if step.action == "reuse" and step.run is not None:
        return _made(step.run)
    found = _job_of(step.fingerprint, place)
    if found is None:
        return {"state": "none", "run": None, "job": None, "error": None, "profile": None}
    if found.state == "succeeded":  # its files were removed or changed since
        return {"state": "none", "run": None, "job": found.id, "error": None, "profile": None}
    error = dict(found.error) if found.error is not None else None
    return {"state": found.state, "run": found.run, "job": found.id, "error": error, "profile": None}


def make_profile(
    name: str, *, settings: Mapping[str, Any] | None = None, workspace: Path | str | None = None
) -> dict[str, Any]:
    """Queue the profile of a dataset, unless it is there or on its way; returns what `profile` gives then."""
    found = profile(name, settings=settings, workspace=workspace)
    if found["state"] not in ("none", "failed", "cancelled"):
        return found
    ref = find(name, Workspace.find(workspace)).ref
    submission = submit_stage(STAGE, workspace=workspace, source=ref, **(settings or {}))
    return {**found, "state": "queued", "run": submission.run, "job": submission.jobs[0].id, "error": None}


def _planned(name: str, settings: Mapping[str, Any], place: Workspace) -> PlannedStep:
    ref = find(name, place).ref
    (step,) = plan(stage_recipe(STAGE, values={"source": ref, **settings}), workspace=place.root).steps
    return step


def _made(run: Run) -> dict[str, Any]:
    artifact = run.artifact()
    assert artifact is not None, "a step that is reused has an artifact"
    artifact.refuse_damage({}, run.name)
    numbers = read_json(artifact.path / "profile.json")
    return {"state": "succeeded", "run": run.name, "job": None, "error": None, "profile": numbers}


def _job_of(fingerprint: str, place: Workspace) -> Job | None:
    """The newest job that makes the artifact with a fingerprint."""
    for job in sorted(jobs(workspace=place.root), key=lambda job: -job.id):
        if job.stage == STAGE:
            try:
                steps = SubmittedRun(place, job.recipe, job.number).record["steps"]
            except BurnishError:  # its folder is gone
                continue
            if any(step["step"] == job.step and step["job"]["fingerprint"] == fingerprint for step in steps):
                return job
    return None
