"""Workers that are killed at random: no step is lost, and none succeeds twice (design page 5, rows 6 to 8)."""

import random
import time
from collections import Counter

import pytest

from burnish.jobs.queue.leasing import MAX_LOSSES
from burnish.studio.queueing.jobs import resume_run

KILLS = 100


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, monkeypatch):
    """The queue lies here, for this process and for workers."""
    if request.param == "postgresql":
        monkeypatch.setenv("BURNISH_DATABASE", request.getfixturevalue("postgresql").database())


@pytest.mark.torture  # `make test` kills workers and a server: tests/server/test_kills.py
@pytest.mark.timeout(1800)
def test_killed_workers_lose_no_step_and_none_succeeds_twice(
    database, recipe, submitted, queue, worker_process, workspace
):
    chance = random.Random(KILLS)
    names = [submitted({**recipe, "name": f"r{number}"}).run for number in range(KILLS // 2 + 2)]
    for _ in range(KILLS):
        worker = worker_process(slots=2)
        time.sleep(chance.uniform(0.3, 2.5))  # anywhere: at its start, in a lease, in a step, in a report
        worker.kill()
        worker.wait()
    assert worker_process("--until-idle", slots=2).wait(240) == 0
    lost = sum(job.losses for job in queue.jobs())
    given_up = {job.run for job in queue.jobs(state="failed")}  # four workers died with one of its steps
    assert all(job.losses > MAX_LOSSES and job.error["code"] == "run.killed" for job in queue.jobs(state="failed"))
    for run in given_up:
        resume_run(run, workspace=workspace.root)
    assert not given_up or worker_process("--until-idle", slots=2).wait(240) == 0
    jobs = queue.jobs()
    assert Counter(job.state for job in jobs) == {"succeeded": 2 * len(names)}
    runs = [run for name in names for run in workspace.find_runs(name)]
    for run in runs:
        ends = [event.state for event, _ in run.events.read() if event.kind == "state"]
        assert ends.count("succeeded") == 1
        assert run.artifact().damage({}, deep=True) == []
    print(f"{KILLS} kills: {lost} leases and {sum(run.record['attempts'] - 1 for run in runs)} steps were lost by them")
    print(f"{len(given_up)} runs were given up after {MAX_LOSSES + 1} losses, and resumed")
    assert lost
