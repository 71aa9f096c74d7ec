"""Workers that are killed at random: no step is lost, and none succeeds twice (design page 5, rows 6 to 8)."""

import random
import time
from collections import Counter

import pytest


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.torture)])
def database(request, monkeypatch):
    """The queue lies here, for this process and for workers."""
    if request.param == "postgresql":
        monkeypatch.setenv("BURNISH_DATABASE", request.getfixturevalue("postgresql").database())


@pytest.mark.parametrize("kills", [4, pytest.param(100, marks=pytest.mark.torture)])
def test_killed_workers_lose_no_step_and_none_succeeds_twice(
    database, recipe, submitted, queue, worker_process, workspace, kills
):
    chance = random.Random(kills)
    names = [submitted({**recipe, "name": f"r{number}"}).run for number in range(kills // 2 + 2)]
    for _ in range(kills):
        worker = worker_process(slots=2)
        time.sleep(chance.uniform(0.3, 2.5))  # anywhere: at its start, in a lease, in a step, in a report
        worker.kill()
        worker.wait()
    assert worker_process("--until-idle", slots=2).wait(240) == 0
    jobs = queue.jobs()
    assert Counter(job.state for job in jobs) == {"succeeded": 2 * len(names)}
    for run in (run for name in names for run in workspace.find_runs(name)):
        ends = [event.state for event, _ in run.events.read() if event.kind == "state"]
        assert ends.count("succeeded") == 1
        assert run.artifact().damage({}, deep=True) == []
