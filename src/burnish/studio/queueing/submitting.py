"""Submit a recipe, or one stage, to the queue of the workspace: its steps become jobs."""

import shutil
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burnish.core.catalog import needs_torch, stage
from burnish.core.errors import BurnishError, MachineError
from burnish.core.plan import Plan, make_plan
from burnish.core.runs.submitted import Options, SubmittedRun
from burnish.core.runs.workspace import Workspace
from burnish.jobs.launchers.choice import parsed
from burnish.jobs.queue.job import LOCAL, Job, NewJob, Slot
from burnish.jobs.queue.queue import Queue
from burnish.studio.executing.execution import Execution
from burnish.studio.executing.results import SilentWatcher
from burnish.studio.executing.stopping import StopRequests, interruptible_planning
from burnish.studio.planning import RecipeLike, as_recipe, stage_recipe
from burnish.studio.queueing.opening import opened
from burnish.studio.queueing.plans import recorded


@dataclass(frozen=True)
class Submission:
    """A submitted run, `recipe/number`, and a job for each of its steps."""

    run: str
    jobs: tuple[Job, ...]
    notes: tuple[str, ...] = ()
    """Those of the plan, and its warnings."""

    def as_dict(self) -> dict[str, Any]:
        return {"run": self.run, "jobs": [job.as_dict() for job in self.jobs], "notes": list(self.notes)}


def submit(
    recipe: RecipeLike | Iterable[str | Path],
    *,
    settings: Iterable[str] = (),
    workspace: Path | str | None = None,
    start: str | None = None,
    force: Collection[str] = (),
    only: Iterable[str] = (),
    options: Options | None = None,
    database: str | None = None,
) -> Submission:
    """Plan a recipe as `run` does, and queue its steps; a worker (`burnish worker`) runs them.

    References and settings are resolved now: an input that changes before its step runs is an error then. `database` is
    a URL (see `Database.of`).

    Errors: those of a plan; MachineError `machine.no-database`, `machine.database-busy`.
    """
    place = Workspace.find(workspace)
    with interruptible_planning():
        plan = make_plan(as_recipe(recipe, settings), place, start=start, force=force, only=only)
    return queue_plan(plan, place, options, database)


def submit_stage(
    name: str,
    *,
    files: Iterable[str | Path] = (),
    settings: Iterable[str] = (),
    workspace: Path | str | None = None,
    force: bool = False,
    options: Options | None = None,
    database: str | None = None,
    **values: Any,
) -> Submission:
    """Queue a single stage: `submit_stage("sft", base="builtin:pocket", data="file:rows.jsonl")`."""
    place = Workspace.find(workspace)
    with interruptible_planning():
        plan = make_plan(stage_recipe(name, files, settings, values), place, force=("*",) if force else ())
    return queue_plan(plan, place, options, database)


def queue_plan(
    plan: Plan,
    place: Workspace,
    options: Options | None = None,
    database: str | None = None,
    describe: Callable[[SubmittedRun], None] | None = None,
) -> Submission:
    """Record a plan as a submitted run, and queue its steps. `describe` may write records of its own beside (see
    `SubmittedRun.write_beside`)."""
    options = options or Options()
    if options.on is not None:
        parsed(options.on)
    name = plan.recipe.name
    with opened(place.root, database) as (place, queue):
        # a database that does not answer is an error before anything is recorded; and jobs of a run whose folder was
        # removed would be taken for those of this one
        number = place.claim_number(name, above=queue.newest_number(name))
        execution = Execution(plan, number, place, SilentWatcher(), StopRequests(place.stop_file(name, number)))
        folder = execution.record()
        submitted = SubmittedRun(place, name, number)
        try:
            if describe is not None:
                describe(submitted)
            submitted.write(plan.recipe.as_dict(), recorded(plan, execution.jobs()), options)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        jobs, notes = _add(queue, place, submitted, folder)
    return Submission(submitted.name, tuple(jobs), (*plan.notes, *plan.warnings, *notes))


def _add(queue: Queue, place: Workspace, submitted: SubmittedRun, folder: Path) -> tuple[list[Job], list[str]]:
    """Queue a recorded run, or remove it. One of which the database does not say whether it is queued is submitted: a
    worker queues it then, and an error would make its caller submit it twice."""
    try:
        return queue.add(new_jobs(place, submitted.recipe, submitted.number)), []
    except BaseException as error:
        jobs = _queued(queue, submitted.name)
        if not jobs and isinstance(error, MachineError):  # a worker with the record may wait for the same lock
            return [], [f"{submitted.name} is recorded, and queued once the database answers: {error.what}"]
        if jobs is None:  # such as Ctrl-C: a worker queues it
            raise
        if not jobs:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return jobs, []


def _queued(queue: Queue, run: str) -> list[Job] | None:
    """The jobs of a run, which a worker may have queued before, or whose answer was lost; None if nobody knows."""
    try:
        return queue.jobs(run=run)
    except BurnishError:
        return None


def new_jobs(place: Workspace, recipe: str, number: int) -> list[NewJob]:
    """The jobs of a submitted run, for the queue."""
    submitted = SubmittedRun(place, recipe, number)
    options, stages = submitted.options, submitted.stages
    return [
        NewJob(
            recipe=recipe,
            number=number,
            step=step,
            stage=stages[step],
            needs=tuple(needs),
            slot=_slot_of(stages[step]),
            priority=options.priority,
            max_attempts=1 + options.retries,
            time_limit=options.time_limit,
            launcher=options.on or LOCAL,
        )
        for step, needs in submitted.needs.items()
    ]


def _slot_of(name: str) -> Slot:
    row = stage(name)
    if row.produces == "serving":
        return "server"
    if row.produces == "profile":
        return "light"
    return "gpu" if needs_torch(row) else "cpu"
