"""The verbs of the queue. Each is one transaction: after an error, or a kill, nothing of it has happened."""

import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import delete, func, insert, select

from burnish.core.errors import AskError, BurnishError
from burnish.core.printable import encodable
from burnish.core.runs.submitted import check_priority
from burnish.core.secrets import mask, masked_value
from burnish.core.version import VERSION
from burnish.jobs.database.database import Database
from burnish.jobs.database.tables import counters, jobs, workers
from burnish.jobs.identity import ProcessIdentity, this_process
from burnish.jobs.queue import leasing, order
from burnish.jobs.queue.change import by_id, changing, read
from burnish.jobs.queue.job import TRANSITIONS, EndState, Job, JobState, Lease, NewJob, Requested, Slot, Worker
from burnish.jobs.queue.needs import cancel_hopeless, refuse_unknown_needs
from burnish.jobs.queue.observation import LEASE_SECONDS, Observation

_SEEN_SECONDS = 10.0
"""How often a worker that waits for jobs is written down as seen."""


class Queue:
    """The jobs of a workspace. Threads may share it.

    Every verb raises the errors of `Database.writing` (`machine.no-database`, `machine.database-busy`), and has then
    changed nothing, or, where only the answer was lost on its way, everything.
    """

    def __init__(
        self,
        database: Database,
        *,
        lease_seconds: float = LEASE_SECONDS,
        max_losses: int = leasing.MAX_LOSSES,
        clock: Callable[[], float] = time.monotonic,
    ):
        """All processes that use a database need the same `lease_seconds`."""
        self.database, self.lease_seconds, self._max_losses = database, lease_seconds, max_losses
        self._observation = Observation(lease_seconds, clock)
        self._told: dict[str, float] = {}
        """When each worker of this process was last written down as seen."""
        self._lock = threading.Lock()

    # ---- jobs

    def add(self, new: Sequence[NewJob]) -> list[Job]:
        """Add jobs, all or none, in the order in which they shall run. Needs are steps among them or added before.

        Errors: AskError `ask.wrong-value` for a need that is unknown or circular, or a step that has a job.
        """
        with changing(self.database) as change:
            refuse_unknown_needs(change.connection, new)
            position = order.end(change.connection)
            ids: dict[tuple[str, str], int] = order.steps_of(change.connection, {job.run for job in new})
            added: list[int] = []
            for place, job in enumerate(new):
                needed = [ids[job.run, step] for step in job.needs]
                ids[job.run, job.step] = change.add(_row(job, position + place), [*needed, *job.needs_jobs])
                added.append(ids[job.run, job.step])
            cancel_hopeless(change)
            found = by_id(change.connection, added)
        return [found[number] for number in added]

    def jobs(
        self,
        *,
        state: JobState | Collection[JobState] | None = None,
        run: str | Collection[str] | None = None,
        stage: str | None = None,
        limit: int | None = None,
        after: int | None = None,
    ) -> list[Job]:
        """The jobs in these states, of these runs and this stage: those that run, then those that wait, in their order,
        then the ended ones, newest first; with `after` those that come after this one.

        Errors: AskError `ask.bad-reference` if `after` is none of them.
        """
        query = select(jobs)
        if state is not None:
            query = query.where(jobs.c.state.in_([state] if isinstance(state, str) else list(state)))
        if run is not None:
            query = query.where(jobs.c.run.in_([run] if isinstance(run, str) else list(run)))
        if stage is not None:
            query = query.where(jobs.c.stage == stage)
        query = query.order_by(*order.LISTED)
        with self.database.reading() as connection:
            if after is not None:
                ids = list(connection.execute(query.with_only_columns(jobs.c.id)).scalars())
                if after not in ids:
                    what = f"after: the job {after} is not in this list"
                    raise AskError("ask.bad-reference", what, "begin again without `after`")
                query = query.offset(ids.index(after) + 1)
            return read(connection, query.limit(limit))

    def runs(self) -> set[str]:
        """The runs that have jobs."""
        with self.database.reading() as connection:
            return set(connection.execute(select(jobs.c.run).distinct()).scalars())

    def newest_number(self, recipe: str) -> int:
        """The largest number of a recipe's runs that have jobs; 0 if none has. A database that others keep locked is an
        error, as it would be of `add`."""
        query = select(func.max(jobs.c.number)).where(jobs.c.recipe == recipe)
        with changing(self.database) as change:
            return change.connection.execute(query).scalar() or 0

    def counts(self, run: str | None = None) -> Mapping[JobState, int]:
        """The number of jobs in each state, of a run or of all."""
        query = select(jobs.c.state, func.count()).group_by(jobs.c.state)
        with self.database.reading() as connection:
            found = connection.execute(query if run is None else query.where(jobs.c.run == run))
            return {**dict.fromkeys(TRANSITIONS, 0), **{row[0]: row[1] for row in found}}

    def job(self, number: int) -> Job:
        """A job. Errors: AskError `ask.no-such-job`."""
        with self.database.reading() as connection:
            return _known(by_id(connection, [number]), number)

    def revision(self) -> int:
        """The revision of the newest change."""
        with self.database.reading() as connection:
            return int(connection.execute(select(counters.c.value).where(counters.c.name == "jobs")).scalar_one())

    def changes(self, after: int = 0, limit: int = 1000) -> list[Job]:
        """The jobs that changed after a revision, as they are now, by revision, at most `limit`.

        Ask again with the revision of the last one: none is lost. Each change of a job gives it a new revision, and
        revisions are committed in their order. A revision that this database has not reached is one of a database
        that was replaced: then all jobs are given.
        """
        with self.database.reading() as connection:
            newest = int(connection.execute(select(counters.c.value).where(counters.c.name == "jobs")).scalar_one())
            after = after if after <= newest else 0
            query = select(jobs).where(jobs.c.revision > after).order_by(jobs.c.revision).limit(limit)
            return read(connection, query)

    def cancel(self, ids: Iterable[int], *, at_once: bool = False) -> list[Job]:
        """Cancel jobs: a queued one at once, with those that need it. The worker of a running one is requested to stop
        it (with `at_once`, or the second time, to kill it), and ends it when it has. One that has ended stays as it is.

        Errors: AskError `ask.no-such-job`, and nothing is cancelled.
        """
        wanted = list(dict.fromkeys(ids))
        with changing(self.database) as change:
            found = by_id(change.connection, wanted)
            for number in wanted:
                job = _known(found, number)
                if job.state == "queued":
                    change.to("cancelled", job, ended=time.time(), reason="cancelled by request")
                elif job.state == "running" and job.requested != "kill":
                    request: Requested = "kill" if at_once or job.requested else "stop"
                    change.set(number, requested=request)
            cancel_hopeless(change)
            found = by_id(change.connection, wanted)
        return [found[number] for number in wanted]

    def resume(self, run: str) -> list[Job]:
        """Queue the failed and cancelled jobs of a run again, with all attempts; gives those.

        Errors: AskError `ask.no-such-run` if the run has no jobs.
        """
        with changing(self.database) as change:
            found = read(change.connection, select(jobs).where(jobs.c.run == run).order_by(jobs.c.id))
            if not found:
                raise AskError("ask.no-such-run", f"run {run} has no jobs", "see `burnish jobs list`")
            resumed = [job for job in found if job.state in ("failed", "cancelled")]
            for job in resumed:
                change.to("queued", job, **_FRESH)
            cancel_hopeless(change)
            after = by_id(change.connection, [job.id for job in resumed])
        return [after[job.id] for job in resumed]

    def prioritise(self, number: int, priority: int) -> Job:
        """Set the priority of a queued job: higher first.

        Errors: AskError `ask.no-such-job`, `ask.wrong-value`; RunError `run.bad-transition` if it is not queued.
        """
        check_priority(priority)
        with changing(self.database) as change:
            order.queued(change, number)
            change.set(number, priority=priority)
            return by_id(change.connection, [number])[number]

    def move(self, number: int, before: int | None = None) -> Job:
        """Move a queued job before another one, whose priority it gets; or to the end of the queue.

        Errors: AskError `ask.no-such-job`; RunError `run.bad-transition` if one of them is not queued.
        """
        with changing(self.database) as change:
            order.move(change, number, before)
            return by_id(change.connection, [number])[number]

    # ---- leases

    def lease(self, worker: Worker, slots: Collection[Slot]) -> Lease | None:
        """The next job whose needs have succeeded and whose slot is one of `slots`; None if there is none.

        No other worker has the job while this lease is renewed in time. Call it once a second while a slot is free:
        the calls also observe the leases of others, and those that are silent for `lease_seconds`, or whose process
        on this machine has ended, are taken over.
        """
        with self._lock:
            self._tell_seen(worker)
            return leasing.lease(self.database, worker, slots, self._observation, self._max_losses)

    def _tell_seen(self, worker: Worker) -> None:
        now = self._observation.clock()
        if now - self._told.get(worker.id, now - _SEEN_SECONDS) >= _SEEN_SECONDS:
            with self.database.writing() as connection:
                leasing.saw(connection, worker.id)
            self._told[worker.id] = now

    def renew(self, lease: Lease, *, progressed: bool = False) -> Requested | None:
        """Keep a lease for another `lease_seconds`; gives what was requested of the job.

        Call it at least every `lease_seconds / 6`. With `progressed` (such as a new checkpoint) earlier losses of the
        job are forgotten.

        Errors: RunError `run.fenced` if the job is no longer this holder's: stop the work at once. After another error
        the lease holds until its deadline; when it is overdue, stop the work at once too.
        """
        began = self._observation.clock()
        requested = leasing.renew(self.database, lease, progressed=progressed)
        lease.deadline = self._observation.deadline(began)
        return requested

    def finish(
        self,
        lease: Lease,
        state: EndState,
        error: BurnishError | Mapping[str, Any] | None = None,
        reason: str = "",
    ) -> Job:
        """End a job. Those that need it are cancelled unless it succeeded. May be repeated after a lost answer.

        Errors: RunError `run.fenced` if the job is no longer this holder's; what it did does not count then.
        """
        told = error.as_dict() if isinstance(error, BurnishError) else error
        with changing(self.database) as change:
            job = leasing.held(change, lease, state)
            if job.state == "running":
                values = {"error": masked_value(dict(told)) if told else None, "reason": _plain(reason)}
                change.to(state, job, ended=time.time(), requested=None, **values)
                cancel_hopeless(change)
            return by_id(change.connection, [lease.id])[lease.id]

    def release(self, lease: Lease, reason: str, *, after: float = 0.0, counts: bool = True, above: int = 0) -> Job:
        """Give a job back to the queue, for another attempt in `after` seconds. If it is requested to stop, it is
        cancelled instead. Without `counts` the attempt is not counted, such as when the worker shuts down.
        The fence of its next lease is `above` that one, which a run folder has from a database that was lost.

        Errors: RunError `run.fenced` as of `finish`; `run.bad-transition` if it counts and no attempt is left.
        """
        with changing(self.database) as change:
            job = leasing.held(change, lease, "queued")
            if job.state == "running":
                leasing.give_back(change, job, _plain(reason), after=after, counts=counts, above=above)
                cancel_hopeless(change)
            return by_id(change.connection, [lease.id])[lease.id]

    # ---- workers

    def register_worker(self, slots: Mapping[Slot, int], process: ProcessIdentity | None = None) -> Worker:
        """Add a worker, this process unless another one is given."""
        process, now = process or this_process(), time.time()
        name = f"{process.host}-{process.pid}-{secrets.token_hex(3)}"
        worker = Worker(name, process, dict(slots), VERSION, now, now)
        row = {"id": name, "host": process.host, "boot": process.boot, "pid": process.pid, "slots": dict(slots)}
        with self.database.writing() as connection:
            leasing.forget_ended(connection)
            connection.execute(
                insert(workers).values(**row, process_started=process.started, version=VERSION, joined=now, seen=now)
            )
        return worker

    def leave(self, worker: Worker) -> None:
        """Remove a worker. Jobs that it still has are taken over by others."""
        with self.database.writing() as connection:
            connection.execute(delete(workers).where(workers.c.id == worker.id))

    def workers(self) -> list[Worker]:
        """The workers that have not left, oldest first. `has_ended` says which are known to be dead."""
        with self.database.reading() as connection:
            return leasing.all_workers(connection)


_FRESH: Mapping[str, Any] = {
    "attempts": 0,
    "lost_by": [],
    "not_before": 0.0,
    "requested": None,
    "error": None,
    "reason": "",
}
"""Columns of a job that is queued again."""


def _row(job: NewJob, position: float) -> dict[str, Any]:
    return {
        "run": job.run,
        "recipe": job.recipe,
        "number": job.number,
        "step": job.step,
        "stage": job.stage,
        "state": job.state,
        "slot": job.slot,
        "priority": job.priority,
        "position": position,
        "max_attempts": job.max_attempts,
        "time_limit": job.time_limit,
        "launcher": job.launcher,
        "fence": 0,
        "beat": 0,
        "created": time.time(),
        **_FRESH,
        "reason": job.reason,
    }


def _plain(reason: str) -> str:
    """A reason that any database takes: without secrets, NUL and halves of surrogate pairs."""
    return encodable(mask(reason)).replace("\0", "\ufffd")


def _known(found: Mapping[int, Job], number: int) -> Job:
    if number not in found:
        raise order.no_such_job(number)
    return found[number]
