"""Any order of the verbs, by several workers: what must always hold of the queue does."""

import dataclasses

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import delete

from burnish.core.errors import RunError
from burnish.jobs.database.tables import jobs, needs, workers
from burnish.jobs.identity import this_process
from burnish.jobs.queue.job import TRANSITIONS, NewJob
from burnish.jobs.queue.queue import Queue

CHOICE = st.integers(0, 1_000_000)
"""One of what is there then."""
ELSEWHERE = dataclasses.replace(this_process(), boot="another machine")
MAX_LOSSES = 2


def without_beats(found):
    """A renewal is no change."""
    return {id: dataclasses.replace(job, beat=0, lost_by=()) for id, job in found.items()}


class Verbs(RuleBasedStateMachine):
    """Workers on machines of their own. `holder` is the lease of each running job; all others are stale."""

    def __init__(self, database):
        super().__init__()
        self.database, self.now = database, 0.0
        with database.writing() as connection:
            for table in (needs, jobs, workers):
                connection.execute(delete(table))
        self.queues = [Queue(database, clock=lambda: self.now, max_losses=MAX_LOSSES) for _ in range(3)]
        self.queue = self.queues[0]
        self.workers = [queue.register_worker({"cpu": 1}, ELSEWHERE) for queue in self.queues]
        self.before, self.replayed, self.after = {}, {}, self.queue.revision()
        self.leases, self.holder, self.ended, self.fence, self.runs = [], {}, {}, {}, 0

    # ---- the verbs

    @rule(wanted=st.lists(st.tuples(st.sets(st.integers(0, 3)), st.integers(-1, 1)), min_size=1, max_size=4), id=CHOICE)
    def add(self, wanted, id):
        self.runs += 1
        others = [self.any_job(id)] if self.before and id % 3 == 0 else []
        self.queue.add(
            [
                NewJob(
                    "r",
                    self.runs,
                    f"s{place}",
                    "quick",
                    needs=[f"s{need}" for need in needed if need < place],
                    needs_jobs=others if place == 0 else [],
                    slot=("cpu", "gpu")[place % 2],
                    priority=priority,
                    max_attempts=2,
                )
                for place, (needed, priority) in enumerate(wanted)
            ]
        )

    @rule(worker=st.integers(0, 2), slots=st.sampled_from([("cpu",), ("gpu",), ("cpu", "gpu")]))
    def lease(self, worker, slots):
        ready = [job for job in self.queue.jobs(state="queued") if job.slot in slots and self.is_ready(job)]
        lease = self.queues[worker].lease(self.workers[worker], slots)
        assert (lease.id if lease else None) == (ready[0].id if ready else None)  # no time passed: nothing was lost
        if lease:
            assert lease.fence > self.fence.get(lease.id, 0), "a fence was given twice"
            assert self.before[lease.id].state == "queued", "a job has two holders"
            self.fence[lease.id] = lease.fence
            self.holder[lease.id] = lease
            self.leases.append(lease)

    @precondition(lambda self: self.leases)
    @rule(choice=CHOICE, progressed=st.booleans())
    def renew(self, choice, progressed):
        lease = self.leases[choice % len(self.leases)]
        if self.holder.get(lease.id) is lease:
            assert self.queue.renew(lease, progressed=progressed) == self.before[lease.id].requested
        else:
            self.is_fenced(lambda: self.queue.renew(lease))

    @precondition(lambda self: self.leases)
    @rule(choice=CHOICE, state=st.sampled_from(["succeeded", "failed", "cancelled"]))
    def finish(self, choice, state):
        lease = self.leases[choice % len(self.leases)]
        if self.holder.get(lease.id) is lease:
            assert self.queue.finish(lease, state).state == state
            del self.holder[lease.id]
            self.ended[lease.id] = (lease, state)
        elif self.ended.get(lease.id) == (lease, state) and self.before[lease.id].fence == lease.fence:
            assert self.queue.finish(lease, state) == self.before[lease.id]
        else:
            self.is_fenced(lambda: self.queue.finish(lease, state))

    @precondition(lambda self: self.holder)
    @rule(choice=CHOICE, after=st.sampled_from([0.0, 1e9]), counts=st.booleans())
    def release(self, choice, after, counts):
        lease = list(self.holder.values())[choice % len(self.holder)]
        job = self.before[lease.id]
        if counts and not job.may_retry and not job.requested:
            with pytest.raises(RunError, match="last attempt"):
                self.queue.release(lease, "it broke", after=after, counts=counts)
            return
        released = self.queue.release(lease, "it broke", after=after, counts=counts)
        assert released.state == ("cancelled" if job.requested else "queued")
        del self.holder[lease.id]

    @precondition(lambda self: self.before)
    @rule(choices=st.lists(CHOICE, min_size=1, max_size=3), at_once=st.booleans())
    def cancel(self, choices, at_once):
        self.queue.cancel([self.any_job(choice) for choice in choices], at_once=at_once)

    @precondition(lambda self: self.runs)
    @rule(choice=CHOICE)
    def resume(self, choice):
        run = f"r/{1 + choice % self.runs}"
        assert all(self.before[job.id].state in ("failed", "cancelled") for job in self.queue.resume(run))

    @precondition(lambda self: self.queued())
    @rule(one=CHOICE, other=CHOICE, is_last=st.booleans())
    def move(self, one, other, is_last):
        waiting = self.queued()
        number, before = waiting[one % len(waiting)], waiting[other % len(waiting)]
        rest = [id for id in waiting if id != number]
        self.queue.move(number, None if is_last else before)
        if is_last or before != number:
            rest.insert(len(rest) if is_last else rest.index(before), number)
            assert [job.id for job in self.queue.jobs(state="queued")] == rest

    @precondition(lambda self: self.queued())
    @rule(choice=CHOICE, priority=st.integers(-1, 1))
    def prioritise(self, choice, priority):
        waiting = self.queued()
        assert self.queue.prioritise(waiting[choice % len(waiting)], priority).priority == priority

    @precondition(lambda self: self.holder)
    @rule(worker=st.integers(0, 2), kept=CHOICE)
    def all_but_one_holder_fall_silent(self, worker, kept):
        kept = list(self.holder.values())[kept % len(self.holder)]
        for _ in range(6):
            self.queues[worker].lease(self.workers[worker], ())
            self.now += 8
            self.queue.renew(kept)
        self.holder = {kept.id: kept}

    # ---- what always holds

    @invariant()
    def what_must_hold_holds(self):
        self.jobs_change_as_the_table_says()
        self.changes_replay_to_the_same_jobs()

    def jobs_change_as_the_table_says(self):
        now = {job.id: job for job in self.queue.jobs()}
        for id, job in now.items():
            before = self.before[id].state if id in self.before else "queued"
            assert job.state == before or job.state in TRANSITIONS[before] or id not in self.before
            assert job.state == "running" or id not in self.holder
            assert 0 <= job.attempts <= job.max_attempts
            assert job.losses <= MAX_LOSSES + 1
            assert job.fence >= self.fence.get(id, 0)
            if job.state == "running":
                assert self.holder[id].fence == job.fence, "a job runs that nobody holds"
            needed = {now[need].state for need in job.needs}
            if job.state in ("running", "succeeded"):
                assert needed <= {"succeeded"}
            if job.state == "queued":
                assert needed <= {"queued", "running", "succeeded"}, "a job waits for ever"
        self.before = now

    def changes_replay_to_the_same_jobs(self):
        while some := self.queues[1].changes(self.after, limit=2):
            for job in some:
                assert job.revision > self.after
                self.replayed[job.id], self.after = job, job.revision
        assert without_beats(self.before) == without_beats(self.replayed)

    # ---- words

    def any_job(self, choice):
        return sorted(self.before)[choice % len(self.before)]

    def queued(self):
        return [job.id for job in self.queue.jobs(state="queued")]

    def is_ready(self, job):
        return job.not_before == 0 and all(self.before[need].state == "succeeded" for need in job.needs)

    def is_fenced(self, act):
        with pytest.raises(RunError) as error:
            act()
        assert error.value.code == "run.fenced"


@pytest.mark.parametrize("examples", [4, pytest.param(200, marks=pytest.mark.torture)])
def test_what_must_hold_holds_after_any_verbs(database, examples):
    quiet = settings(
        max_examples=examples,
        stateful_step_count=25,
        deadline=None,
        derandomize=examples == 4,  # the same ones each time, so that it takes the same time
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(lambda: Verbs(database), settings=quiet)
