"""Workers in processes of their own, all at once, killed and stopped: no job is lost, and none counts twice."""

import os
import random
import signal
import time
from collections import Counter

import pytest

import database_processes
from burnish.jobs.queue.job import NewJob
from database_processes import CONTEXT

AT_ONCE = 3


def add_chains(queue, number, length=4):
    """Add a run whose steps need one another."""
    needs = [[]] + [[f"s{place}"] for place in range(length - 1)]
    queue.add([NewJob("r", number, f"s{place}", "quick", needs=need) for place, need in enumerate(needs)])


def assert_none_lost_and_none_twice(queue, done):
    """The file says what was done; the fence in the database says what counts of it."""
    lines = [line.split() for line in done.read_text().splitlines()]
    did = Counter((int(job), int(fence)) for word, job, fence in lines if word == "did")
    counted = Counter(int(job) for word, job, _ in lines if word == "counted")
    fences = {(int(job), int(fence)) for word, job, fence in lines if word == "counted"}
    jobs = {job.id: job for job in queue.jobs()}
    assert {job.state for job in jobs.values()} == {"succeeded"}
    assert all(count == 1 for count in did.values()), "a fence was given twice"
    assert all(count == 1 for count in counted.values()), "a job counted twice"
    for job in jobs.values():
        assert did[job.id, job.fence] == 1, "a job counted that nobody did"
    assert all(jobs[job].fence == fence for job, fence in fences), "a stale holder counted"


def test_processes_that_lease_at_once_never_get_the_same_job(queue, url, in_process, tmp_path):
    for number in range(1, 9):
        add_chains(queue, number)
    done = tmp_path / "done"
    processes = [in_process(database_processes.do_all_jobs, url, done, 30.0, True) for _ in range(4)]
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    assert_none_lost_and_none_twice(queue, done)
    assert len(done.read_text().splitlines()) == 2 * 32


CASES = [
    pytest.param(8, True, id="8 kills, seen"),
    pytest.param(4, False, id="4 kills, missed"),
    pytest.param(200, True, id="200 kills, seen", marks=pytest.mark.torture),
    pytest.param(200, False, id="200 kills, missed", marks=pytest.mark.torture),
]


@pytest.mark.parametrize(("kills", "is_seen"), CASES)
def test_kills_lose_no_job_and_finish_none_twice(queue, url, in_process, tmp_path, kills, is_seen):
    done, chance = tmp_path / "done", random.Random(kills)
    lease_seconds = 30.0 if is_seen else 0.5

    def start():
        return in_process(database_processes.do_all_jobs, url, done, lease_seconds, is_seen)

    add_chains(queue, 1)
    workers = [start() for _ in range(AT_ONCE)]
    for number in range(kills):
        add_chains(queue, number + 2)
        time.sleep(chance.random() * 0.1)  # any moment
        victim = chance.randrange(AT_ONCE)
        workers[victim].kill()
        workers[victim].join(30)
        workers[victim] = start()
    for worker in workers:
        worker.join(200)
        assert worker.exitcode == 0
    assert_none_lost_and_none_twice(queue, done)


def test_a_worker_that_was_stopped_longer_than_its_lease_is_overdue_and_fenced(queue, url, in_process, add, until):
    [job] = add(tune=[]).values()
    reports, to_test = CONTEXT.Pipe(duplex=False)

    def said():
        assert reports.poll(60)
        return reports.recv()

    process = in_process(database_processes.hold, url, 0.4, to_test)
    assert said() == "held"
    other = database_processes.queue_of(url, 0.4)
    worker, leases = other.register_worker({"cpu": 1}), []
    until(lambda: leases.append(other.lease(worker, ("cpu",))) or leases[-1])
    os.kill(process.pid, signal.SIGCONT)
    assert [said() for _ in range(3)] == ["overdue", "run.fenced", "run.fenced"]
    assert queue.job(job.id).state == "running"
    assert other.finish(leases[-1], "succeeded").worker == worker.id
    other.database.close()
