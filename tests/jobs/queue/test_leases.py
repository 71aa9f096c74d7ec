"""Leases: who holds a job, until when, and who may take it over. No test waits: the clocks are the test's."""

import dataclasses
import os
import subprocess
import sys
import time

import pytest
from sqlalchemy import text

from burnish.core.errors import MachineError, RunError
from burnish.jobs.database.database import Database
from burnish.jobs.identity import numbering, start_of, this_process
from burnish.jobs.queue.backoff import LONGEST_SECONDS, backoff
from burnish.jobs.queue.observation import LEASE_SECONDS
from burnish.jobs.queue.queue import Queue

BOTH = ("cpu", "gpu")
ELSEWHERE = dataclasses.replace(this_process(), host="elsewhere", boot="another start of another machine")


class Clock:
    """A monotonic clock that stands still until it is told."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Machine:
    """A worker of its own machine, which nobody can see from another one."""

    def __init__(self, database, **options):
        self.clock = Clock()
        self.queue = Queue(database, clock=self.clock, **options)
        self.worker = self.queue.register_worker({"cpu": 1}, ELSEWHERE)

    def lease(self):
        return self.queue.lease(self.worker, BOTH)

    def watch(self, seconds, step=2.0):
        """Look for jobs every two seconds; gives the first lease."""
        for _ in range(round(seconds / step)):
            self.clock.now += step
            if lease := self.lease():
                return lease
        return None


@pytest.fixture
def machines(database):
    return [Machine(database) for _ in range(3)]


def code_of(act):
    with pytest.raises(RunError) as error:
        act()
    return error.value.code


def test_a_silent_holder_loses_its_job_after_the_time_of_a_lease_and_not_before(add, machines):
    job = add(tune=[])["tune"]
    holder, other, _ = machines
    held = holder.lease()
    assert other.lease() is None
    assert other.watch(LEASE_SECONDS - 1) is None
    taken = other.watch(2)
    assert (taken.id, taken.job.worker, taken.job.lost_by) == (job.id, other.worker.id, (holder.worker.id,))
    assert taken.fence > held.fence
    assert taken.job.attempts == 1


def test_a_holder_that_renews_keeps_its_job_however_long_it_takes(add, machines):
    add(tune=[])
    holder, other, _ = machines
    held = holder.lease()
    for _ in range(10):
        assert other.watch(LEASE_SECONDS - 1) is None
        assert holder.queue.renew(held) is None
    assert other.watch(LEASE_SECONDS - 1) is None


def test_a_stale_holder_is_fenced_whatever_it_does(add, queue, machines):
    add(tune=[], max_attempts=5)
    holder, other, _ = machines
    stale = holder.lease()
    other.lease()
    taken = other.watch(2 * LEASE_SECONDS)
    for act in (
        lambda: holder.queue.renew(stale),
        lambda: holder.queue.finish(stale, "succeeded"),
        lambda: holder.queue.release(stale, "it broke"),
    ):
        assert code_of(act) == "run.fenced"
    assert other.queue.renew(taken) is None
    assert other.queue.finish(taken, "succeeded").state == "succeeded"
    assert code_of(lambda: holder.queue.finish(stale, "succeeded")) == "run.fenced"


def test_the_clocks_of_the_machines_may_be_wrong_and_jump(add, machines, monkeypatch):
    add(tune=[])
    holder, other, _ = machines
    held = holder.lease()
    now, jumps = time.time, [3600.0, -3600.0, 86_400.0 * 365, -86_400.0 * 365]
    for jump in jumps:
        monkeypatch.setattr(time, "time", lambda jump=jump: now() + jump)
        holder.clock.now += 5
        assert holder.queue.renew(held) is None
        assert other.watch(LEASE_SECONDS - 1) is None
        assert not held.is_overdue
    assert holder.queue.renew(held) is None
    assert holder.queue.finish(held, "succeeded").state == "succeeded"


def test_an_observer_that_was_suspended_has_seen_nothing_meanwhile(add, machines):
    add(tune=[])
    holder, other, _ = machines
    held = holder.lease()
    other.lease()
    other.clock.now += 3600  # both were suspended, or nobody could reach the database
    assert other.lease() is None
    holder.queue.renew(held)
    assert other.watch(LEASE_SECONDS - 1) is None


def test_a_holder_has_to_stop_before_another_one_may_start(add, machines):
    add(tune=[])
    holder, other, _ = machines
    held = holder.lease()
    assert held.seconds_left == pytest.approx(0.75 * LEASE_SECONDS)
    holder.clock.now += 20
    holder.queue.renew(held)
    assert held.seconds_left == pytest.approx(0.75 * LEASE_SECONDS)
    holder.clock.now += 0.75 * LEASE_SECONDS
    assert held.is_overdue
    other.lease()
    assert other.watch(0.75 * LEASE_SECONDS) is None


def test_a_renewal_counts_from_when_it_was_sent(add, machines, monkeypatch):
    add(tune=[])
    holder, *_ = machines
    held = holder.lease()
    writing = Database.writing

    def slow(database):
        holder.clock.now += 15
        return writing(database)

    monkeypatch.setattr(Database, "writing", slow)
    holder.queue.renew(held)
    assert held.seconds_left == pytest.approx(0.75 * LEASE_SECONDS - 15)


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_renewal_that_fails_leaves_the_deadline(add, machines, database):
    add(tune=[])
    holder, *_ = machines
    held = holder.lease()
    before = held.deadline
    holder.clock.now += 10
    database.path.unlink()
    with pytest.raises(MachineError, match="was removed"):
        holder.queue.renew(held)
    assert held.deadline == before


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_a_lease_is_not_taken_while_its_renewal_is_under_way(add, machines, database):
    add(tune=[])
    holder, other, _ = machines
    held = holder.lease()
    other.lease()
    other.watch(LEASE_SECONDS - 1)
    with database.writing() as connection:
        connection.execute(text("UPDATE jobs SET beat = beat + 1"))
        assert other.watch(3) is None
    assert other.watch(LEASE_SECONDS - 1) is None
    assert holder.queue.renew(held) is None


def child(database):
    """A process, and a worker that says it is this process."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    identity = dataclasses.replace(this_process(), pid=process.pid, boot=numbering(), started=start_of(process.pid))
    return process, Queue(database).register_worker({"cpu": 1}, identity)


@pytest.mark.parametrize("is_waited_for", [True, False])
def test_the_job_of_a_process_of_this_machine_that_was_killed_is_taken_over_at_once(
    add, queue, worker, database, until, is_waited_for
):
    add(tune=[])
    process, holder = child(database)
    queue.lease(holder, BOTH)
    assert queue.lease(worker, BOTH) is None
    process.kill()
    if is_waited_for:
        process.wait()
    taken = []
    until(lambda: taken.append(queue.lease(worker, BOTH)) or taken[-1], seconds=LEASE_SECONDS / 2)
    assert taken[-1].job.lost_by == (holder.id,)
    process.communicate()


@pytest.mark.parametrize("change", [{"started": "1"}, {"pid": 2**22 + 1}])
def test_a_process_with_a_number_that_was_given_again_is_another_one(add, queue, worker, database, change):
    add(tune=[])
    other = Queue(database)
    other.lease(other.register_worker({}, dataclasses.replace(this_process(), **change)), BOTH)
    assert queue.lease(worker, BOTH) is not None


@pytest.mark.parametrize("change", [{"boot": "another"}, {"boot": ""}, {"started": "", "pid": os.getpid()}])
def test_a_process_of_another_machine_or_container_is_not_taken_for_dead(add, queue, worker, database, change):
    add(tune=[])
    other = Queue(database)
    other.lease(other.register_worker({}, dataclasses.replace(this_process(), **{"pid": 2**22 + 1, **change})), BOTH)
    assert queue.lease(worker, BOTH) is None


def test_a_job_that_ends_its_workers_fails_after_three_losses_and_names_them(add, database, queue):
    add(tune=[], measure=["tune"])
    machines = [Machine(database) for _ in range(5)]
    for machine in machines[:4]:
        assert machine.lease() or machine.watch(2 * LEASE_SECONDS)
    machines[4].lease()
    assert machines[4].watch(2 * LEASE_SECONDS) is None
    [failed] = queue.jobs(state="failed")
    assert failed.error["code"] == "run.killed"
    for machine in machines[:4]:
        assert machine.worker.id in failed.error["what"]
    assert [job.reason for job in queue.jobs(state="cancelled")] == ["it needs r/1/tune, which failed"]
    assert {job.step: job.losses for job in queue.resume("r/1")} == {"tune": 0, "measure": 0}


def test_progress_forgives_earlier_losses(add, database):
    add(tune=[])
    for number in range(8):
        machine = Machine(database)
        lease = machine.lease() or machine.watch(2 * LEASE_SECONDS)
        assert (lease.job.losses, lease.job.attempts) == (min(number, 1), 1)
        machine.queue.renew(lease, progressed=True)


def test_a_job_that_was_to_stop_is_cancelled_when_its_worker_is_gone(add, machines, queue):
    jobs = add(tune=[], measure=["tune"])
    holder, other, _ = machines
    stale = holder.lease()
    queue.cancel([jobs["tune"].id])
    other.lease()
    assert other.watch(2 * LEASE_SECONDS) is None
    assert {job.state for job in queue.jobs()} == {"cancelled"}
    assert code_of(lambda: holder.queue.finish(stale, "succeeded")) == "run.fenced"


def test_a_lease_whose_answer_was_lost_is_taken_by_whoever_looks_even_by_its_own_worker(add, machines):
    add(tune=[])
    holder, *_ = machines
    holder.lease()
    assert holder.lease() is None
    assert holder.watch(2 * LEASE_SECONDS).job.lost_by == (holder.worker.id,)


def test_workers_are_seen_when_they_look_and_when_they_renew(add, database, queue, monkeypatch):
    machine, now = Machine(database), time.time
    held = None
    for later in (60, 120, 180):
        monkeypatch.setattr(time, "time", lambda later=later: now() + later)
        machine.clock.now += 60
        if held:
            machine.queue.renew(held)
        else:
            add(tune=[])
            held = machine.lease()
        [worker] = queue.workers()
        assert worker.seen == pytest.approx(now() + later, abs=30)


def test_workers_that_did_not_leave_are_forgotten_once_they_have_no_job(add, database, queue, monkeypatch):
    def known():
        queue.register_worker({})
        return {worker.id for worker in queue.workers()}

    process, killed = child(database)
    machine, now = Machine(database), time.time
    assert {killed.id, machine.worker.id} <= known()
    process.kill()
    process.communicate()
    assert killed.id not in known()
    add(tune=[])
    held = machine.lease()
    monkeypatch.setattr(time, "time", lambda: now() + 30 * 86_400)
    assert machine.worker.id in known()
    machine.queue.finish(held, "succeeded")
    assert machine.worker.id not in known()


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_the_wait_between_attempts_doubles_with_a_jitter_up_to_a_limit(url):
    assert [backoff(attempt, 0) for attempt in (1, 2, 3, 4)] == [10, 20, 40, 80]
    assert [backoff(attempt, 1) for attempt in (1, 2, 3, 4)] == [15, 25, 45, 85]
    assert backoff(10_000, 0.5) == LONGEST_SECONDS
