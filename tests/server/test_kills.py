"""Server and worker killed at random while jobs are in flight: none is lost or stuck, none succeeds twice, and no
process stays behind (design page 5, rows 6 and 7)."""

import random
import signal
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest

from burnish.core.processes import module_command
from burnish.core.runs.submitted import SubmittedRun
from burnish.core.runs.workspace import Workspace
from burnish.jobs.queue.leasing import MAX_LOSSES
from burnish.studio.queueing.jobs import jobs, resume_run
from studio_server import serving


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.torture)])
def database(request, monkeypatch):
    """The queue lies here, for this process and for those that it starts."""
    if request.param == "postgresql":
        monkeypatch.setenv("BURNISH_DATABASE", request.getfixturevalue("postgresql").database())


@pytest.fixture
def folder(database, quick_stages, tmp_path):
    return tmp_path


class Worker:
    """A queue worker in a process of its own, started again whenever it was killed."""

    def __init__(self, folder):
        self._command = module_command("burnish.cli.main", "worker", "--workspace", str(folder), "--slots", "2")
        self.start()

    def start(self, _port=0):
        self.process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)


def recipe(number, folder):
    """Two steps; the first one lasts until `release` is called."""
    return {
        "name": f"r{number}",
        "steps": {
            "wait": {"stage": "quick-slow", "release": str(folder / f"release-{number}")},
            "tell": {"stage": "quick-model", "base": "builtin:pocket", "data": "step:wait"},
        },
    }


def release(number, folder):
    (folder / f"release-{number}").touch()


def submitting(studio, number, answered):
    """Submit a run by HTTP in a thread; its name is in `answered` if the server said that it is queued."""

    def submit():
        try:
            with httpx.Client(base_url=studio.address, cookies=studio.page.cookies, timeout=30) as client:
                headers = {"X-CSRF-Token": studio.page.headers["X-CSRF-Token"]}
                body = {"values": recipe(number, studio.folder)}
                answer = client.post("/api/v1/runs", json=body, headers=headers)
        except httpx.TransportError:
            return  # the server was killed: nobody knows
        assert answer.status_code == 202, answer.text
        answered.append(answer.json()["run"])

    thread = threading.Thread(target=submit)
    thread.start()
    return thread


def end(one, number):
    one.process.send_signal(number)
    one.process.wait(60)


def processes_of(folder):
    """The processes that have the workspace in their command."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += [path.parent.name] if str(folder).encode() in path.read_bytes() else []
        except OSError:
            continue
    return found


def finished(studio, worker, until):
    """Wait until no job waits or runs; runs that were given up, after four workers had died, are resumed."""
    given_up = set()
    while True:
        until(lambda: not any(job.state in ("queued", "running") for job in jobs(workspace=studio.folder)), seconds=240)
        failed = jobs(state="failed", workspace=studio.folder)
        assert all((job.losses > MAX_LOSSES, job.error["code"]) == (True, "run.killed") for job in failed)
        if not failed:
            return given_up
        given_up |= {job.run for job in failed}
        for run in {job.run for job in failed}:
            resume_run(run, workspace=studio.folder)


PARTS = [pytest.param(50, part, marks=pytest.mark.torture, id=f"50-{part}") for part in range(1, 5)]
"""200 kills on each database."""


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("kills", "part"), [pytest.param(4, 4, id="4"), *PARTS])
def test_kills_of_server_and_worker_lose_no_job_and_finish_none_twice(folder, until, kills, part):
    chance, answered, killed, restarts, in_flight = random.Random(part), [], Counter(), 0, 0
    with serving(folder, is_forked=False) as studio:
        port, worker = int(studio.address.rpartition(":")[2]), Worker(folder)
        both, number = {"server": studio, "worker": worker}, 0
        while killed.total() < kills:
            number += 1
            submission = submitting(studio, number, answered)
            time.sleep(chance.choice([chance.uniform(0, 0.2), chance.uniform(0.5, 2.5)]))  # at once, or in a step
            in_flight += any(job.state == "running" for job in jobs(workspace=folder))
            is_restart = number % 4 == 0
            for name in chance.choice([["server"], ["worker"], ["worker"], ["server", "worker"]]):
                end(both[name], signal.SIGTERM if is_restart else signal.SIGKILL)
                killed[name] += not is_restart
                restarts += is_restart
                both[name].start(port)
            submission.join()
            release(number - 1, folder)
        release(number, folder)
        given_up = finished(studio, worker, until)
        end(worker, signal.SIGTERM)
    workspace = Workspace(folder)
    known = {f"r{n}/1" for n in range(1, number + 1) if SubmittedRun(workspace, f"r{n}", 1).exists()}
    assert set(answered) <= known
    states = Counter((job.run, job.step, job.state) for job in jobs(workspace=folder))
    assert states == {(run, step, "succeeded"): 1 for run in known for step in ("wait", "tell")}
    runs = [run for name in known for run in workspace.find_runs(name)]
    for run in runs:
        ends = [event.state for event, _ in run.events.read() if event.kind == "state"]
        assert ends.count("succeeded") == 1
        assert run.artifact().damage({}, deep=True) == []
    assert sum(run.artifact().measures.get("resumed", False) for run in runs) > (kills > 10)
    until(lambda: not processes_of(folder))
    resumed = sum(run.record["attempts"] - 1 for run in runs)
    print(f"{dict(killed)} killed, {restarts} restarts, {in_flight} of {number} times with a job that ran")
    print(f"{len(answered)} submissions answered, {len(known)} made; {resumed} steps resumed, {len(given_up)} given up")
