"""The profile of a dataset: the numbers of the stage `profile`, which is queued where no run has made them yet."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from burnish.core.errors import AskError, BurnishError
from burnish.core.files import read_json
from burnish.core.plan import make_plan
from burnish.core.runs.run import Run
from burnish.core.runs.submitted import SubmittedRun
from burnish.core.runs.workspace import Workspace
from burnish.jobs.queue.job import Job
from burnish.studio.datasets.names import find, refuse_damage
from burnish.studio.executing.stopping import interruptible_planning
from burnish.studio.listing.snapshots import steps_of
from burnish.studio.queueing.jobs import jobs
from burnish.studio.recipes.given import Given
from burnish.studio.recipes.submitted import submit_given

STAGE = "profile"


def profile(
    name: str,
    *,
    settings: Mapping[str, Any] | None = None,
    workspace: Path | str | None = None,
    allowed: Iterable[Path] = (),
) -> dict[str, Any]:
    """The profile of a dataset as it is now: `state` (`none`, `queued`, `running`, `failed`, `cancelled`,
    `succeeded`), `run`, the `job` that makes it, its `error`, and `profile`, the numbers of its `profile.json`.

    `settings` are those of the stage; what they refer to lies in the workspace or in `allowed` folders.

    Errors: AskError `ask.bad-reference`, `ask.wrong-value` for a `source` among the settings; those of a plan.
    """
    place = Workspace.find(workspace)
    recipe = _given(name, settings or {}, place).recipe(workspace=place.root, allowed=allowed)
    with interruptible_planning():
        (step,) = make_plan(recipe, place).steps
    if step.action == "reuse" and step.run is not None:
        return _made(step.run, place)
    found = _job_of(step.fingerprint, place)
    if found is None:
        return {"state": "none", "run": None, "job": None, "error": None, "profile": None}
    if found.state == "succeeded":  # its files were removed or changed since
        return {"state": "none", "run": None, "job": found.id, "error": None, "profile": None}
    error = dict(found.error) if found.error is not None else None
    return {"state": found.state, "run": found.run, "job": found.id, "error": error, "profile": None}


def make_profile(
    name: str,
    *,
    settings: Mapping[str, Any] | None = None,
    workspace: Path | str | None = None,
    allowed: Iterable[Path] = (),
) -> dict[str, Any]:
    """Queue the profile of a dataset, unless it is there or on its way; returns what `profile` gives then."""
    allowed = tuple(allowed)
    found = profile(name, settings=settings, workspace=workspace, allowed=allowed)
    if found["state"] not in ("none", "failed", "cancelled"):
        return found
    given = _given(name, settings or {}, Workspace.find(workspace))
    submission = submit_given(given, workspace=workspace, allowed=allowed)
    job = submission.jobs[0].id if submission.jobs else None  # a worker queues it once the database answers
    return {**found, "state": "queued", "run": submission.run, "job": job, "error": None}


def _given(name: str, settings: Mapping[str, Any], place: Workspace) -> Given:
    if "source" in settings:
        what = "source: the profile is that of the dataset that is named"
        raise AskError("ask.wrong-value", what, "remove it from the settings, or name the other dataset")
    return Given(stage=STAGE, values={"source": find(name, place).ref, **settings})


def _made(run: Run, place: Workspace) -> dict[str, Any]:
    artifact = run.artifact()
    assert artifact is not None, "a step that is reused has an artifact"
    refuse_damage(artifact, run.name, place)
    numbers = read_json(artifact.path / "profile.json")
    return {"state": "succeeded", "run": run.name, "job": None, "error": None, "profile": numbers}


def _job_of(fingerprint: str, place: Workspace) -> Job | None:
    """The newest job that makes the artifact with a fingerprint."""
    begun = {entry.run: entry.fingerprint for entry in steps_of(place) if entry.stage == STAGE}
    for job in sorted(jobs(stage=STAGE, workspace=place.root), key=lambda job: -job.id):
        if (begun.get(job.name) or _submitted(job, place)) == fingerprint:
            return job
    return None


def _submitted(job: Job, place: Workspace) -> str:
    """The fingerprint of what a job makes that has no folder of its own: it waits, or reuses what another has made."""
    try:
        steps = SubmittedRun(place, job.recipe, job.number).record["steps"]
    except BurnishError:  # its folder is gone
        return ""
    return next((step["job"]["fingerprint"] for step in steps if step["step"] == job.step), "")
