"""The order of the queue: priority, higher first, then position, then age; and its changes by hand."""

from collections.abc import Collection

from sqlalchemy import Connection, case, func, select

from burnish.core.errors import AskError, RunError
from burnish.jobs.database.tables import jobs
from burnish.jobs.queue.change import Change, by_id
from burnish.jobs.queue.job import Job

WAITING = (jobs.c.priority.desc(), jobs.c.position, jobs.c.id)
"""The order in which queued jobs are leased."""
_RANK = case({"running": 0, "queued": 1}, value=jobs.c.state, else_=2)
_ENDED = case((jobs.c.state.in_(("queued", "running")), None), else_=jobs.c.id)
LISTED = (_RANK, _ENDED.desc(), *WAITING)
"""The order in which people see jobs."""


def no_such_job(number: int) -> AskError:
    return AskError("ask.no-such-job", f"there is no job {number}", "see `burnish jobs list`")


def end(connection: Connection) -> float:
    """A position behind all jobs."""
    return float(connection.execute(select(func.max(jobs.c.position))).scalar() or 0.0) + 1.0


def steps_of(connection: Connection, runs: Collection[str]) -> dict[tuple[str, str], int]:
    """(run, step) → id of the jobs of these runs."""
    rows = connection.execute(select(jobs.c.run, jobs.c.step, jobs.c.id).where(jobs.c.run.in_(list(runs))))
    return {(run, step): number for run, step, number in rows}


def queued(change: Change, number: int) -> Job:
    """A job that waits. Errors: AskError `ask.no-such-job`, RunError `run.bad-transition`."""
    job = by_id(change.connection, [number]).get(number)
    if job is None:
        raise no_such_job(number)
    if job.state != "queued":
        what = f"job {number} ({job.name}) is {job.state}, and only a queued job can be moved"
        raise RunError("run.bad-transition", what, "see `burnish jobs list --state queued`")
    return job


def move(change: Change, number: int, before: int | None) -> None:
    """Place a queued job before another one, or at the end."""
    job = queued(change, number)
    if before == number:
        return
    if before is None:
        last = _neighbour(change, job, jobs.c.priority, jobs.c.position.desc())
        priority = last.priority if last else job.priority
        change.set(number, priority=priority, position=end(change.connection))
        return
    other = queued(change, before)
    position = _between(change, job, other)
    if position is None:
        _spread(change, other.priority)
        position = _between(change, job, queued(change, before))
    assert position is not None
    change.set(number, priority=other.priority, position=position)


def _neighbour(change: Change, moved: Job, *ordered: object) -> Job | None:
    query = select(jobs.c.id).where(jobs.c.state == "queued", jobs.c.id != moved.id).order_by(*ordered).limit(1)  # type: ignore[arg-type]
    number = change.connection.execute(query).scalar()
    return None if number is None else by_id(change.connection, [number])[number]


def _between(change: Change, moved: Job, other: Job) -> float | None:
    """A position between a job and the one before it; None if no number lies there."""
    c = jobs.c
    before = (c.position < other.position) | ((c.position == other.position) & (c.id < other.id))
    query = select(func.max(c.position)).where(
        c.state == "queued", c.priority == other.priority, c.id != moved.id, c.id != other.id, before
    )
    lower = change.connection.execute(query).scalar()
    if lower is None:
        return other.position - 1.0
    middle = (float(lower) + other.position) / 2
    return middle if lower < middle < other.position else None


def _spread(change: Change, priority: int) -> None:
    """Give the queued jobs of a priority positions with room between them, behind all others; their order stays."""
    query = select(jobs.c.id).where(jobs.c.state == "queued", jobs.c.priority == priority).order_by(*WAITING)
    first = end(change.connection)
    for place, number in enumerate(change.connection.execute(query).scalars().all()):
        change.set(number, position=first + place)
