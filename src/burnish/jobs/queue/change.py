"""One change of the queue at a time, so that the revisions of jobs are committed in their order.

A reader that asks for the jobs after revision 7 must never be shown 9 and later find that 8 was committed after it.
Numbers of a sequence are given before a commit, in any order; so every change holds the row of one counter from its
first statement to its commit, also on PostgreSQL. Beats change no state and do not take it.
"""

from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, insert, select, update

from burnish.jobs.database.database import Database
from burnish.jobs.database.tables import counters, jobs, needs
from burnish.jobs.queue.job import TRANSITIONS, Job, JobState


class Change:
    """A transaction that may change jobs; each changed job gets the next revision."""

    def __init__(self, connection: Connection):
        self.connection = connection
        own = counters.c.name == "jobs"
        self._before: int = connection.execute(select(counters.c.value).where(own).with_for_update()).scalar_one()
        self.revision = self._before

    def add(self, values: Mapping[str, Any], needed: Iterable[int]) -> int:
        """Insert a job; gives its id."""
        self.revision += 1
        done = self.connection.execute(insert(jobs).values(**values, revision=self.revision).returning(jobs.c.id))
        number = int(done.scalar_one())
        rows = [{"job": number, "need": need} for need in dict.fromkeys(needed)]
        if rows:
            self.connection.execute(insert(needs), rows)
        return number

    def to(self, state: JobState, job: Job, *conditions: Any, **values: Any) -> bool:
        """Move a job to another state, if it is still in the one that was read, and the conditions hold.

        Only what its holder does leaves the fence: a holder that repeats a report finds whether it was its own. A job
        that waits again has no times of its last attempt.
        """
        assert state in TRANSITIONS[job.state], (job.state, state)
        if job.state != "running":
            values["fence"] = job.fence + 1
        if state == "queued":
            values["started"] = values["ended"] = None
        return self.set(job.id, jobs.c.state == job.state, *conditions, state=state, **values)

    def set(self, number: int, *conditions: Any, **values: Any) -> bool:
        """Change columns of a job; whether the conditions held."""
        self.revision += 1
        statement = update(jobs).where(jobs.c.id == number, *conditions).values(**values, revision=self.revision)
        is_changed = self.connection.execute(statement).rowcount == 1
        self.revision -= not is_changed
        return is_changed

    def close(self) -> None:
        if self.revision != self._before:
            self.connection.execute(update(counters).where(counters.c.name == "jobs").values(value=self.revision))


@contextmanager
def changing(database: Database) -> Generator[Change]:
    """A change, committed at the end."""
    with database.writing() as connection:
        change = Change(connection)
        yield change
        change.close()


def read(connection: Connection, query: Select[Any]) -> list[Job]:
    """The jobs that a query of the table gives, in its order."""
    rows = connection.execute(query).mappings().all()
    found = _needs_of(connection, [row["id"] for row in rows])
    return [_job(row, found.get(row["id"], ())) for row in rows]


def by_id(connection: Connection, ids: Collection[int]) -> dict[int, Job]:
    """The jobs with these ids that exist."""
    found: dict[int, Job] = {}
    for some in _portions([number for number in ids if 0 < number < 1 << 63]):  # as large as a database can have them
        found |= {job.id: job for job in read(connection, select(jobs).where(jobs.c.id.in_(some)))}
    return found


def _needs_of(connection: Connection, ids: Sequence[int]) -> dict[int, tuple[int, ...]]:
    found: dict[int, tuple[int, ...]] = {}
    for some in _portions(ids):
        query = select(needs.c.job, needs.c.need).where(needs.c.job.in_(some)).order_by(needs.c.need)
        for job, need in connection.execute(query):
            found[job] = (*found.get(job, ()), need)
    return found


def _portions(ids: Sequence[int], size: int = 500) -> Iterable[Sequence[int]]:
    """Databases limit the parameters of a statement."""
    return (ids[start : start + size] for start in range(0, len(ids), size))


def _job(row: RowMapping, needed: tuple[int, ...]) -> Job:
    values: dict[str, Any] = {**row, "needs": needed, "lost_by": tuple(row["lost_by"])}
    return Job(**values)
