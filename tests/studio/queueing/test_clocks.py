"""Clocks of workers that jump by an hour while a step runs: its lease stays (design page 5, row 11).

By construction no clock is in a lease: `jobs/queue/observation.py` compares beats, and counts silence by the monotonic
clock. Every verb under jumps is in `tests/jobs/queue/test_leases.py`; here the processes of two workers meet them.
(libfaketime 0.9.10 cannot be used: under it `time.sleep` of CPython 3.11 is an error.)
"""

import os
import time

import pytest

CLOCK = """import os, time
own, place = time.time, os.environ.get("TEST_CLOCK")
if place:
    time.time = lambda: own() + float(open(place).read() or 0)
"""
"""The clock of a process is off by so many seconds as a file says."""


@pytest.mark.torture
def test_clocks_that_jump_by_an_hour_cost_no_worker_its_lease(
    slow, submitted, worker_process, queue, workspace, until, tmp_path, monkeypatch
):
    (tmp_path / "sitecustomize.py").write_text(CLOCK)

    def worker_with_clock(name):
        clock = tmp_path / name
        clock.write_text("0")
        with monkeypatch.context() as changed:
            changed.setenv("TEST_CLOCK", str(clock))
            changed.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
            worker_process()
        return clock

    def job(step):
        return next(job for job in queue.jobs(run="s/1") if job.step == step)

    submitted(slow)
    holder = worker_with_clock("holder")
    until(lambda: (workspace.run("s", 1, "wait").scratch / "checkpoints" / "1").exists())
    clocks = holder, worker_with_clock("other")
    until(lambda: len(queue.workers()) == 2)
    fence = job("wait").fence
    for jump in ("3600", "-3600", "3600"):
        for clock in clocks:
            clock.write_text(jump)
            beat = job("wait").beat
            until(lambda beat=beat: job("wait").beat >= beat + 2)  # ten seconds, in which the other one looks often
            assert (job("wait").fence, job("wait").lost_by, job("wait").state) == (fence, (), "running")
    (tmp_path / "release").touch()
    until(lambda: job("join").state == "succeeded")
    assert (job("wait").fence, job("join").losses) == (fence, 0)
    assert job("join").started == pytest.approx(time.time() + 3600, abs=120), "no clock has jumped"
