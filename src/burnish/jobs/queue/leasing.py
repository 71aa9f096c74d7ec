"""Leases: the next job of a worker, its renewal, its end, and the jobs whose holders are gone."""

import time
from collections.abc import Collection
from typing import Any, cast

from sqlalchemy import Connection, delete, select, update

from burnish.core.errors import RunError
from burnish.jobs.database.database import Database
from burnish.jobs.database.tables import jobs, workers
from burnish.jobs.identity import ProcessIdentity
from burnish.jobs.queue.change import Change, by_id, changing, read
from burnish.jobs.queue.job import Job, JobState, Lease, Requested, Slot, Worker
from burnish.jobs.queue.needs import ARE_MET, cancel_hopeless
from burnish.jobs.queue.observation import Observation
from burnish.jobs.queue.order import WAITING, no_such_job

MAX_LOSSES = 3
"""Leases of one job that may be lost without progress: the next one ends it, since it may be what kills its workers."""
_FORGOTTEN_SECONDS = 7 * 86_400


def lease(
    database: Database, worker: Worker, slots: Collection[Slot], observation: Observation, max_losses: int
) -> Lease | None:
    """The next job of a worker. Jobs whose holders are gone are queued again before."""
    if not _is_anything_to_do(database, slots, observation):
        return None
    began = observation.clock()
    with changing(database) as change:
        _reclaim(change, observation, max_losses)
        job = _next(change, slots)
        if job is None:
            return None
        taken = {"beat": 0, "worker": worker.id, "attempts": job.attempts + 1}
        change.to("running", job, started=time.time(), ended=None, requested=None, reason="", error=None, **taken)
        job = by_id(change.connection, [job.id])[job.id]
    return Lease(job, worker.id, job.fence, observation.deadline(began), observation.clock)


def _is_anything_to_do(database: Database, slots: Collection[Slot], observation: Observation) -> bool:
    """Whether a change is worth it: idle workers ask often, and changes wait for one another."""
    with database.reading() as connection:
        if connection.execute(_ready(slots)).first() is not None:
            return True
        running = select(jobs.c.id).where(jobs.c.state == "running").limit(1)
        return observation.is_due and connection.execute(running).first() is not None


def _ready(slots: Collection[Slot]) -> Any:
    return (
        select(jobs.c.id)
        .where(jobs.c.state == "queued", jobs.c.slot.in_(list(slots)), jobs.c.not_before <= time.time(), ARE_MET)
        .order_by(*WAITING)
        .limit(1)
    )


def _next(change: Change, slots: Collection[Slot]) -> Job | None:
    number = change.connection.execute(_ready(slots).with_for_update(of=jobs, skip_locked=True)).scalar()
    return None if number is None else by_id(change.connection, [number])[number]


def _reclaim(change: Change, observation: Observation, max_losses: int) -> None:
    """Take the jobs of holders that are gone: queue them again, cancel those that were to stop, fail poison."""
    running = read(change.connection, select(jobs).where(jobs.c.state == "running").order_by(jobs.c.id))
    silent = observation.lost((job.id, job.fence, job.beat) for job in running)
    ended = {worker.id for worker in all_workers(change.connection) if worker.has_ended}
    for job in running:
        if job.id in silent or job.worker in ended:
            _take(change, job, max_losses)
    cancel_hopeless(change)


def _take(change: Change, job: Job, max_losses: int) -> None:
    """End a lease of a holder that is gone, unless it has just renewed it, or is about to."""
    seen = (jobs.c.fence == job.fence, jobs.c.beat == job.beat, jobs.c.state == "running")
    query = select(jobs.c.id).where(jobs.c.id == job.id, *seen).with_for_update(skip_locked=True)
    if change.connection.execute(query).first() is None:
        return
    lost_by = [*job.lost_by, job.worker]
    common: dict[str, Any] = {"fence": job.fence + 1, "requested": None, "lost_by": lost_by}
    if job.requested:
        reason = f"cancelled by request; worker {job.worker} was gone"
        change.to("cancelled", job, *seen, ended=time.time(), reason=reason, **common)
    elif len(lost_by) > max_losses:
        error = _poison(job, cast(list[str], lost_by))
        change.to("failed", job, *seen, ended=time.time(), reason=error.what, error=error.as_dict(), **common)
    else:
        reason = f"worker {job.worker} is gone"
        change.to("queued", job, *seen, reason=reason, attempts=max(0, job.attempts - 1), **common)


def _poison(job: Job, lost_by: list[str]) -> RunError:
    what = f"{len(lost_by)} workers died or fell silent while they ran {job.name}: {', '.join(lost_by)}"
    fix = (
        "see the end of its log and the memory of these machines; it may need more than they have. "
        "`burnish jobs resume` queues it again"
    )
    return RunError("run.killed", what, fix)


def renew(database: Database, lease: Lease, *, progressed: bool) -> Requested | None:
    """Count the beat up."""
    values: dict[str, Any] = {"beat": jobs.c.beat + 1, **({"lost_by": []} if progressed else {})}
    is_own = (jobs.c.id == lease.id, jobs.c.fence == lease.fence, jobs.c.state == "running")
    with database.writing() as connection:
        row = connection.execute(update(jobs).where(*is_own).values(**values).returning(jobs.c.requested)).first()
        if row is None:
            raise _fenced(lease, by_id(connection, [lease.id]).get(lease.id))
        saw(connection, lease.worker)
        return row.requested


def held(change: Change, lease: Lease, state: JobState) -> Job:
    """The job of a lease, which is running, or which this very lease brought to `state` before.

    Errors: RunError `run.fenced`.
    """
    job = by_id(change.connection, [lease.id]).get(lease.id)
    if job is None or job.fence != lease.fence or job.state not in ("running", state):
        raise _fenced(lease, job)
    return job


def give_back(change: Change, job: Job, reason: str, *, after: float, counts: bool, above: int) -> None:
    """Queue a running job again, or cancel it if that was requested."""
    if job.requested:
        change.to("cancelled", job, ended=time.time(), requested=None, reason=reason)
        return
    if counts and not job.may_retry:
        what = f"job {job.id} ({job.name}) had its last attempt, {job.attempts} of {job.max_attempts}"
        raise RunError("run.bad-transition", what, "finish it as failed")
    attempts = job.attempts if counts else job.attempts - 1
    values: dict[str, Any] = {"fence": max(job.fence, above), "reason": reason, "attempts": attempts}
    change.to("queued", job, not_before=time.time() + after if after else 0.0, **values)


def _fenced(lease: Lease, job: Job | None) -> RunError:
    if job is None:
        raise no_such_job(lease.id)
    now = f"worker {job.worker} has it" if job.state == "running" else f"it is {job.state}"
    what = f"job {job.id} ({job.name}) is no longer held by worker {lease.worker}: {now}"
    return RunError("run.fenced", what, "stop the work on it: what is done for it from now on does not count")


def saw(connection: Connection, worker: str) -> None:
    """A worker is there."""
    connection.execute(update(workers).where(workers.c.id == worker).values(seen=time.time()))


def all_workers(connection: Connection) -> list[Worker]:
    """All workers, oldest first."""
    rows = connection.execute(select(workers).order_by(workers.c.joined, workers.c.id))
    return [
        Worker(
            row.id,
            ProcessIdentity(row.host, row.boot, row.pid, row.process_started),
            row.slots,
            row.version,
            row.joined,
            row.seen,
        )
        for row in rows
    ]


def forget_ended(connection: Connection) -> None:
    """Remove the workers that did not leave and have no job: those that have ended, or were not seen for a week."""
    busy = set(connection.execute(select(jobs.c.worker).where(jobs.c.state == "running")).scalars())
    for worker in all_workers(connection):
        if worker.id not in busy and (worker.has_ended or worker.seen < time.time() - _FORGOTTEN_SECONDS):
            connection.execute(delete(workers).where(workers.c.id == worker.id))
