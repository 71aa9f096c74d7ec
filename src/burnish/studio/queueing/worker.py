"""The queue worker: leases jobs, runs each step in a thread as `burnish run` does, and reports how it ended.

queue ── lease ──▶ thread: the step's worker process (see `burnish.jobs.worker`)
  ▲                   │
  └── beat, finish ───┘     a worker that lost a lease kills the process; its late result is refused by the fence

A lease that cannot be renewed, such as while its database is away, stops the step in time to save its state.
"""

import contextlib
import logging
import math
import random
import threading
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from burnish.core.errors import AskError, BurnishError, RunError
from burnish.core.events import Event
from burnish.core.faults import as_burnish_error
from burnish.core.plan import PlannedStep
from burnish.core.runs.run import FencedError, Run
from burnish.core.runs.workspace import Workspace
from burnish.jobs.database.faults import ReplacedDatabaseError
from burnish.jobs.launchers.protocol import Launcher
from burnish.jobs.queue.backoff import backoff
from burnish.jobs.queue.job import Job, Lease, Slot, Worker
from burnish.jobs.queue.queue import Queue
from burnish.studio.executing.execution import Execution
from burnish.studio.executing.results import SilentWatcher
from burnish.studio.executing.stopping import StopRequests
from burnish.studio.queueing.ends import record_end
from burnish.studio.queueing.plans import submitted_plan
from burnish.studio.settings.environment import load_env_file

RETRIED = (
    "run.killed",
    "run.interrupted",
    "run.rank-silent",
    "machine.no-network",
    "machine.no-answer",
    "machine.no-cluster",
    "machine.no-memory",
)
"""Errors that may pass: the step starts again, from its last checkpoint."""
_POLL_SECONDS = 0.2
_BEATS = 6
"""In the time of a lease."""
_BUSY_SECONDS = 5.0
_LOOK_SECONDS = 1.0
"""How often the changes of the queue are looked at."""
_SEARCH_SECONDS = 60.0
"""How often runs are looked for that were submitted by a process which died before it had queued them."""
_GRACE_SECONDS = 60.0
"""What a step gets to save its state after its time limit."""
_SAVING = 1 / 4
"""The part of a lease's time that a step gets to save its state where the lease cannot be renewed: 7.5 of 30 seconds,
after 10 to 15 in which the database may be away and nothing happens. Then its holder must have stopped."""
_log = logging.getLogger("burnish.worker")

Why = Literal["", "unreachable", "leaving", "cancelled", "time", "lost"]
"""Why a step is stopped: its lease cannot be renewed, or its worker ends; a user's request, or the time limit; another
worker has it."""
_RANKS: Mapping[Why, int] = {"": 0, "unreachable": 1, "leaving": 2, "cancelled": 3, "time": 3, "lost": 4}
"""Of two reasons the one of the higher rank holds, and of the same rank the first."""

Say = Callable[[str], None]
"""Reports a line to who started the worker."""


class _Progress(SilentWatcher):
    """Notes when a step began, after it has waited for others that run it, and whether it has saved a checkpoint."""

    began: float | None = None
    """Of the monotonic clock."""
    has_saved = False

    def on_step_start(self, step: PlannedStep, run: Run) -> None:
        self.began = time.monotonic()

    def on_event(self, step: PlannedStep, event: Event) -> None:
        self.has_saved = self.has_saved or event.kind == "checkpoint"


@dataclass
class _Held:
    """A leased job and the thread that runs it."""

    lease: Lease
    pool: Slot
    """The kind of slot that it takes here."""
    stops: StopRequests
    progress: _Progress = field(default_factory=_Progress)
    beat: float = field(default_factory=time.monotonic)
    """When the lease was last renewed, of the monotonic clock."""
    why: Why = ""
    outcome: BurnishError | Literal["succeeded"] | None = None
    thread: threading.Thread | None = None

    @property
    def name(self) -> str:
        return self.lease.job.name

    def stop(self, why: Why, *, at_once: bool = False) -> None:
        """Request a stop."""
        if _RANKS[why] > _RANKS[self.why]:
            self.why = why
        self.stops.request(at_once=at_once)


class QueueWorker:
    """Runs jobs of one queue until it is stopped. Not reentrant; one process may have several."""

    def __init__(
        self,
        workspace: Workspace,
        queue: Queue,
        slots: Mapping[Slot, int],
        *,
        launcher_of: Callable[[Job], Launcher | None],
        search: Callable[[], object] = lambda: None,
        say: Say = _log.info,
    ):
        """`slots` are how many jobs of each kind run at a time: `{"cpu": 1, "gpu": 1}`. `search` queues what was
        submitted and is not in the queue."""
        self._workspace, self._queue, self._slots = workspace, queue, dict(slots)
        self._launcher_of, self._search, self._say = launcher_of, search, say
        self._held: list[_Held] = []
        self._has_ended = threading.Event()
        """Set when a step has ended here."""
        self._stops = 0
        self._unreachable_since: float | None = None
        self._replaced: ReplacedDatabaseError | None = None
        """Why this worker ends: its database is not the one of the workspace any more."""
        self._revision, self._looked = 0, -math.inf
        """The newest change of the queue whose end is recorded in its folder, and when that was looked for."""
        self._searched = -math.inf

    def stop(self) -> None:
        """Save the state of running steps, give their jobs back, and end; a second call kills them."""
        self._stops += 1

    @property
    def _is_ending(self) -> bool:
        return bool(self._stops) or self._replaced is not None

    def run(self, *, until_idle: bool = False) -> None:
        """Work until `stop`; with `until_idle`, until no job is queued or running.

        Errors: those of `Queue.register_worker`; MachineError `machine.no-database` if the file of the database was
        removed or replaced, once what runs has saved its state: in a new one its jobs wait again.
        """
        worker = self._queue.register_worker(self._slots)
        ended = threading.Event()
        threading.Thread(target=self._end_overdue, args=(ended,), name="leases", daemon=True).start()
        try:
            while not (self._is_ending and not self._held):
                self._pass_on_stop()
                self._beat()
                self._reap()
                self._record_ends()
                self._find_lost()
                has_more = not self._is_ending and self._lease(worker)
                if until_idle and not has_more and not self._held and self._is_idle():
                    return
                if not has_more and self._has_ended.wait(_POLL_SECONDS):
                    self._has_ended.clear()
            if self._replaced is not None:
                raise self._replaced
        finally:
            ended.set()
            while self._record_ends(now=True):
                pass
            with self._tolerating_database():
                self._queue.leave(worker)

    def _end_overdue(self, ended: threading.Event) -> None:
        """In a thread, since a database that does not answer keeps the others waiting: stop what a lease soon no longer
        covers, and kill what it does not cover, before another worker starts it."""
        while not ended.wait(_POLL_SECONDS):
            for held in [held for held in self._held if held.outcome is None]:
                if held.lease.seconds_left < _SAVING * self._queue.lease_seconds:
                    if not held.why:
                        self._say(f"{held.name}: its lease cannot be renewed: it saves its state and stops")
                    held.stop("unreachable", at_once=held.lease.is_overdue)

    def _is_idle(self) -> bool:
        with self._tolerating_database():
            return not self._queue.jobs(state=("queued", "running"), limit=1)
        return False

    def _lease(self, worker: Worker) -> bool:
        """Start one job, if there is a free slot and a job for it. Jobs of a kind without slots take those of a CPU."""
        for pool, count in self._slots.items():
            without: tuple[Slot, ...] = ("gpu", "light") if pool == "cpu" else ()
            kinds: tuple[Slot, ...] = (pool, *(kind for kind in without if kind not in self._slots))
            if sum(held.pool == pool for held in self._held) >= count:
                continue
            with self._tolerating_database():
                lease = self._queue.lease(worker, kinds)
                if lease is not None:
                    self._start(lease, pool)
                    return True
        return False

    def _start(self, lease: Lease, pool: Slot) -> None:
        job = lease.job
        for fault in load_env_file(self._workspace.root):  # it may have changed since the last job
            self._say(fault)
        held = _Held(lease, pool, StopRequests(self._workspace.stop_file(job.recipe, job.number)))
        self._say(f"{held.name}: started" + (f" (attempt {job.attempts})" if job.attempts > 1 else ""))
        held.thread = threading.Thread(target=self._perform, args=(held,), name=held.name, daemon=True)
        self._held.append(held)
        held.thread.start()

    def _perform(self, held: _Held) -> None:
        """In a thread: run the step. Its outcome is reported by the main thread, which holds the lease."""
        job = held.lease.job
        try:
            plan = submitted_plan(self._workspace, job.recipe, job.number)
            execution = Execution(
                plan,
                job.number,
                self._workspace,
                held.progress,
                held.stops,
                self._launcher_of(job),
                fence=held.lease.fence,
            )
            execution.perform(job.step)
            held.outcome = "succeeded"
        except Exception as error:
            _log.debug("%s", held.name, exc_info=True)
            held.outcome = as_burnish_error(error, f"`burnish doctor {held.name}`")
        finally:
            self._has_ended.set()

    def _beat(self) -> None:
        """Renew the leases, and pass on what was requested of the jobs."""
        now = time.monotonic()
        for held in self._held:
            job = held.lease.job
            limit = math.inf if job.time_limit is None else job.time_limit
            seconds = 0.0 if held.progress.began is None else now - held.progress.began
            if seconds > limit:
                held.stop("time", at_once=seconds > limit + _GRACE_SECONDS)
            if now - held.beat >= self._queue.lease_seconds / _BEATS:
                self._renew(held)

    def _renew(self, held: _Held) -> None:
        progressed, held.progress.has_saved = held.progress.has_saved, False
        try:
            with self._tolerating_database():
                requested = self._queue.renew(held.lease, progressed=progressed)
                held.beat = time.monotonic()
                if requested is not None:
                    held.stop("cancelled", at_once=requested == "kill")
        except (RunError, AskError):  # another worker has the job, or the database no longer knows it
            held.stop("lost", at_once=True)

    def _reap(self) -> None:
        """Report the jobs whose threads have ended."""
        for held in [held for held in self._held if held.outcome is not None]:
            is_over = held.lease.is_overdue and self._is_ending  # and the database is away: others take the job over
            if held.why == "lost" or is_over or self._replaced is not None:
                self._say(f"{held.name}: its lease is lost: it is another worker's now")
                self._held.remove(held)
                continue
            try:
                with self._tolerating_database():
                    self._report(held)
                    self._held.remove(held)
            except (RunError, AskError) as error:  # fenced, or unknown to a database that was replaced
                self._say(f"{held.name}: {error.what}")
                self._held.remove(held)

    def _report(self, held: _Held) -> None:
        """Finish a job, or give it back. Errors: RunError `run.fenced`, MachineError of the database."""
        outcome, job = held.outcome, held.lease.job
        assert outcome is not None
        if outcome == "succeeded":
            self._finish(held, "succeeded")
        elif outcome.code == "run.interrupted" and held.why == "leaving":
            self._release(held, "its worker was stopped", counts=False)
        elif outcome.code == "run.interrupted" and held.why == "unreachable":
            self._release(held, "its lease could not be renewed in time", counts=False)
        elif outcome.code == "run.interrupted" and held.why == "time":
            self._finish(held, "failed", _out_of_time(job))
        elif outcome.code == "run.interrupted" and (held.why or held.stops.requested):
            self._finish(held, "cancelled", outcome)
        elif outcome.code == "run.busy":
            self._release(held, outcome.what, after=_BUSY_SECONDS, counts=False)
        elif isinstance(outcome, FencedError):  # refused, unless the folder knows leases of a database that was lost
            self._release(held, outcome.what, after=_BUSY_SECONDS, counts=False, above=outcome.newest)
        elif outcome.code in RETRIED and job.may_retry:
            self._release(held, outcome.what, after=backoff(job.attempts, random.random()))
        else:
            self._finish(held, "failed", outcome)

    def _finish(
        self, held: _Held, state: Literal["succeeded", "failed", "cancelled"], error: BurnishError | None = None
    ) -> None:
        what = "" if error is None else error.what
        failure = error.as_dict() if error is not None and state == "failed" else None
        self._queue.finish(held.lease, state, failure, what)
        self._looked = -math.inf
        self._say(f"{held.name}: {state}" + (f": {what}" if state == "failed" else ""))

    def _release(self, held: _Held, why: str, *, after: float = 0.0, counts: bool = True, above: int = 0) -> None:
        self._queue.release(held.lease, why, after=after, counts=counts, above=above)
        self._say(f"{held.name}: {why}; it starts again" + (f" in {after:.0f} s" if after else " with the next worker"))

    def _record_ends(self, *, now: bool = False) -> bool:
        """Record in the run folders what has changed in the queue, whoever changed it; whether there may be more."""
        if not now and time.monotonic() - self._looked < _LOOK_SECONDS:
            return False
        with self._tolerating_database():
            changed = self._queue.changes(self._revision)
            for job in changed:
                record_end(self._workspace, job, self._say)
            self._revision = changed[-1].revision if changed else self._revision
            self._looked = -math.inf if changed else time.monotonic()
            return bool(changed)
        return False

    def _find_lost(self) -> None:
        """At the start, and each minute."""
        if time.monotonic() - self._searched >= _SEARCH_SECONDS:
            with self._tolerating_database():
                self._search()
            self._searched = time.monotonic()

    def _pass_on_stop(self) -> None:
        """Pass on that this worker is to end."""
        for held in self._held:
            if self._is_ending:
                held.stop("leaving", at_once=self._stops > 1)

    @contextlib.contextmanager
    def _tolerating_database(self) -> Generator[None]:
        """A database that cannot be reached is tried again; leases run out meanwhile. One that was replaced ends this
        worker."""
        try:
            yield
        except ReplacedDatabaseError as error:
            if self._replaced is None:
                self._say(f"{error.what}; this worker ends when what it runs has saved its state")
            self._replaced = error
        except BurnishError as error:
            if not error.code.startswith("machine."):
                raise
            if self._unreachable_since is None:
                self._say(f"{error.what}; trying again")
                self._unreachable_since = time.monotonic()
            time.sleep(_POLL_SECONDS)
        else:
            if self._unreachable_since is not None:
                self._say("the database answers again")
                self._unreachable_since = None


def _out_of_time(job: Job) -> RunError:
    what = f"step '{job.step}' was stopped after its time limit of {job.time_limit:,.0f} s"
    fix = f"submit the recipe again with a longer time limit: the step resumes where it saved its state ({job.run})"
    return RunError("run.time-limit", what, fix)
