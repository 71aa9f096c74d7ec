"""Look at the jobs of a workspace, cancel, resume and move them, and work on them."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from burnish.core.errors import AskError
from burnish.core.faults import as_burnish_error
from burnish.core.naming import nearest
from burnish.core.processes import usable_cores
from burnish.core.runs.submitted import SubmittedRun
from burnish.core.runs.workspace import Workspace
from burnish.jobs.launchers.choice import launcher_at
from burnish.jobs.launchers.protocol import Launcher
from burnish.jobs.queue.job import ENDED, LOCAL, TRANSITIONS, Job, JobState, Slot
from burnish.jobs.queue.queue import Queue
from burnish.studio.executing.stopping import StopSignals, request_stop
from burnish.studio.queueing.ends import record_end
from burnish.studio.queueing.opening import opened
from burnish.studio.queueing.submitting import new_jobs
from burnish.studio.queueing.worker import QueueWorker

_SERVERS = 4
"""Servers of models that a worker runs at a time."""
_LIGHT = 1
"""Profiles of datasets that it runs at a time, beside its other jobs."""
_SAME_REQUEST_SECONDS = 1.0
"""Shorter than that of `burnish ui`, so that what is a second request there is one here."""


def jobs(
    *,
    state: str | None = None,
    run: str | Collection[str] | None = None,
    stage: str | None = None,
    limit: int | None = None,
    after: int | None = None,
    workspace: Path | str | None = None,
    database: str | None = None,
) -> list[Job]:
    """The first jobs, of a state, stage and run or some of them, or those after one: those that run, then those that
    wait, in their order, then those that ended, newest first. Errors: AskError `ask.wrong-value`, `ask.bad-reference`.
    """
    if state is not None and state not in TRANSITIONS:
        raise AskError("ask.wrong-value", f"there is no state '{state}'", nearest(state, TRANSITIONS, len(TRANSITIONS)))
    with opened(workspace, database) as (_, queue):
        return queue.jobs(state=cast(JobState | None, state), run=run, stage=stage, limit=limit, after=after)


def job(id: int, *, workspace: Path | str | None = None, database: str | None = None) -> Job:
    """One job. Errors: AskError `ask.no-such-job`."""
    with opened(workspace, database) as (_, queue):
        return queue.job(id)


def cancel_jobs(ids: Sequence[int], *, workspace: Path | str | None = None, database: str | None = None) -> list[Job]:
    """Cancel jobs, and those that need them. One that runs saves its state first; a second request kills it."""
    with opened(workspace, database) as (place, queue):
        return _cancel(place, queue, ids)


def _cancel(place: Workspace, queue: Queue, ids: Sequence[int]) -> list[Job]:
    cancelled = queue.cancel(ids)
    for run in {one.run for one in cancelled}:
        _record_ends(place, queue, run)
    return cancelled


def _record_ends(place: Workspace, queue: Queue, run: str) -> None:
    """Also without a worker, the folder of a run knows how its jobs ended."""
    for one in queue.jobs(run=run):
        record_end(place, one)


def cancel_run(run: str, *, workspace: Path | str | None = None, database: str | None = None) -> list[Job]:
    """Cancel all jobs of a run that have not ended."""
    with opened(workspace, database) as (place, queue):
        recipe, number = _existing(place, run)
        left = [one.id for one in queue.jobs(run=f"{recipe}/{number}") if one.state not in ENDED]
        if not left:
            raise AskError("ask.nothing-to-do", f"run '{run}' has no job that waits or runs", "see `burnish jobs list`")
        cancelled = _cancel(place, queue, left)
        request_stop(place.stop_file(recipe, number))  # last: a second request kills, and a refused one may be repeated
        return cancelled


def resume_run(run: str, *, workspace: Path | str | None = None, database: str | None = None) -> list[Job]:
    """Queue the failed and cancelled jobs of a run again: a step resumes from its last checkpoint.

    Errors: AskError `ask.nothing-to-do` if there is none, `ask.no-such-run`.
    """
    with opened(workspace, database) as (place, queue):
        recipe, number = _existing(place, run)
        submitted = SubmittedRun(place, recipe, number)
        if submitted.exists() and not queue.jobs(run=submitted.name, limit=1):  # of a database that was lost
            _requeue(place, queue, recipe, number)
        ended = [one.step for one in queue.jobs(run=submitted.name) if one.state in ("failed", "cancelled")]
        if not ended:
            fix = "see `burnish jobs list`" if submitted.exists() else f"burnish runs resume {submitted.name}"
            raise AskError("ask.nothing-to-do", f"run '{run}' has no failed or cancelled job", fix)
        submitted.reopen(ended)
        resumed = queue.resume(submitted.name)
        _record_ends(place, queue, submitted.name)  # a worker may have written what was so before
        return resumed


def _existing(place: Workspace, name: str) -> tuple[str, int]:
    """Recipe and number of a run. Errors: AskError `ask.no-such-run`."""
    recipe, number = place.number_of(name)
    place.steps_of(recipe, number)
    return recipe, number


def move_job(
    id: int, *, before: int | None = None, workspace: Path | str | None = None, database: str | None = None
) -> Job:
    """Move a waiting job before another one, or behind all; it takes the other's priority."""
    with opened(workspace, database) as (_, queue):
        return queue.move(id, before=before)


def prioritise_job(id: int, priority: int, *, workspace: Path | str | None = None, database: str | None = None) -> Job:
    """Change the priority of a job: jobs of a higher one start first."""
    with opened(workspace, database) as (_, queue):
        return queue.prioritise(id, priority)


def work(
    *,
    slots: int | None = None,
    gpus: int = 0,
    until_idle: bool = False,
    workspace: Path | str | None = None,
    database: str | None = None,
    say: Callable[[str], None] = print,
) -> None:
    """Run jobs of the queue in this process until SIGTERM, SIGHUP or Ctrl-C, and save their state; a second Ctrl-C
    kills them. With `until_idle`, until none is left.

    `slots` jobs run at a time, by default one for each four cores; with `gpus`, jobs that may use a GPU have that many
    slots of their own. Profiles and servers take no slot of the other jobs.
    """
    kinds: dict[Slot, int] = {
        "cpu": max(1, usable_cores() // 4) if slots is None else slots,
        "light": _LIGHT,
        "server": _SERVERS,
    }
    if gpus:
        kinds["gpu"] = gpus
    with opened(workspace, database) as (place, queue):
        told: set[str] = set()

        def say_once(text: str) -> None:
            if text not in told:
                told.add(text)
                say(text)

        worker = QueueWorker(
            place,
            queue,
            kinds,
            launcher_of=_launcher_of,
            search=lambda: requeue_lost(place, queue, say_once),
            say=say,
        )
        with StopSignals(_SAME_REQUEST_SECONDS).calling(worker.stop):
            worker.run(until_idle=until_idle)


def _launcher_of(job: Job) -> Launcher | None:
    return launcher_at(None if job.launcher == LOCAL else job.launcher)


def requeue_lost(place: Workspace, queue: Queue, say: Callable[[str], None]) -> int:
    """Queue the unfinished steps of submitted runs that the database does not know; returns their number.

    Errors: those of the database.
    """
    known = queue.runs()
    found = 0
    for recipe in place.recipes():
        for number in place.numbers(recipe):
            if f"{recipe}/{number}" in known:
                continue
            try:
                submitted = SubmittedRun(place, recipe, number)
                if submitted.is_unfinished():
                    found += _requeue(place, queue, recipe, number)
            except Exception as error:  # of one run, which must not stop all others
                known_error = as_burnish_error(error, "`burnish doctor`")
                if known_error.code.startswith("machine."):
                    raise
                if not queue.jobs(run=f"{recipe}/{number}", limit=1):  # else another process was faster
                    say(f"{recipe}/{number} is not queued again: {known_error.what}")
    return found


def _requeue(place: Workspace, queue: Queue, recipe: str, number: int) -> int:
    """Queue a run again; steps that have ended keep the state in which they did."""
    submitted = SubmittedRun(place, recipe, number)
    ends = {step: end for step in submitted.needs if (end := submitted.end_of(step)) is not None}
    new = [
        replace(job, state=ends[job.step][0], reason=ends[job.step][1]) if job.step in ends else job
        for job in new_jobs(place, recipe, number)
    ]
    queue.add(new)
    return len(new) - len(ends)
