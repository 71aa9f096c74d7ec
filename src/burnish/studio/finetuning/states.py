"""How the two steps of a fine-tuning job go: as the queue knows it, or else as the folders of the run do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from burnish.core.errors import BurnishError
from burnish.core.runs.records import is_there
from burnish.core.runs.run import Run
from burnish.core.runs.submitted import SubmittedRun
from burnish.core.runs.workspace import Workspace
from burnish.jobs.queue.job import Job
from burnish.studio.finetuning.records import DATA, TUNE, FineTuningRecord
from burnish.studio.queueing.jobs import jobs

_OF_RUNS = {"planned": "queued", "interrupted": "cancelled", "killed": "queued"}


@dataclass(frozen=True)
class StepState:
    """A step of a job: `state` is one of the queue's words; `is_stopping` says that the queue was asked to stop it."""

    step: str
    state: str
    ended: float | None
    error: Mapping[str, Any] | None
    reason: str
    is_stopping: bool = False
    is_queued: bool = False
    """Whether the queue knows it; else its folder tells."""


def of_queue(found: Sequence[Job]) -> list[StepState]:
    """The states of jobs of the queue."""
    return [
        StepState(job.step, job.state, job.ended, job.error, job.reason, job.requested is not None, is_queued=True)
        for job in found
    ]


def states_of(record: FineTuningRecord, place: Workspace) -> list[StepState]:
    """The states of both steps. A queue whose database is new does not know runs that have ended: their folders do."""
    return with_folders(record, of_queue(jobs(run=record.run, workspace=place.root)), place)


def queued_states(records: Sequence[FineTuningRecord], place: Workspace) -> dict[str, list[StepState]]:
    """What the queue knows of these jobs, by their runs."""
    names = [record.run for record in records]
    found: dict[str, list[Job]] = {name: [] for name in names}
    for job in jobs(run=names, workspace=place.root) if names else ():
        found[job.run].append(job)
    return {name: of_queue(of_run) for name, of_run in found.items()}


def with_folders(record: FineTuningRecord, found: Sequence[StepState], place: Workspace) -> list[StepState]:
    """The states that the queue knows, and those of the other steps by their folders."""
    known = {state.step for state in found}
    return [*found, *(_of_folder(step, record, place) for step in (DATA, TUNE) if step not in known)]


def _of_folder(step: str, record: FineTuningRecord, place: Workspace) -> StepState:
    run = place.steps_of(record.recipe, record.number)[step]
    ended, error = _end_of(run)
    end = SubmittedRun(place, record.recipe, record.number).end_of(step)
    if end is not None:
        return StepState(step, end[0], ended, error, end[1])
    if not is_there(run.folder / "run.json"):
        return StepState(step, "queued", None, None, "")
    return StepState(step, _OF_RUNS.get(run.state, run.state), ended, error, run.record.get("reason", ""))


def _end_of(run: Run) -> tuple[float | None, Mapping[str, Any] | None]:
    """When a step ended, and the error that it has in its record."""
    try:
        return run.record.get("ended"), run.record.get("error")
    except BurnishError:
        return None, None


def status_of(record: FineTuningRecord, states: Sequence[StepState]) -> str:
    """OpenAI's word for the state of a job."""
    by_step = {one.step: one.state for one in states}
    if "failed" in by_step.values():
        return "failed"
    if "running" in by_step.values():
        return "running" if by_step.get(TUNE) == "running" else "validating_files"
    if "cancelled" in by_step.values():
        return "paused" if record.is_paused else "cancelled"
    if by_step.get(TUNE) == "succeeded":
        return "succeeded"
    return "queued" if by_step.get(DATA) == "succeeded" else "validating_files"
