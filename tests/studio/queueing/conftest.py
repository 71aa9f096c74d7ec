"""A queue with quick stages: submitted runs, workers in threads of this process and in processes of their own."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from burnish.jobs.database.database import Database
from burnish.jobs.queue.queue import Queue
from burnish.studio.queueing.submitting import submit
from burnish.studio.queueing.worker import QueueWorker


@pytest.fixture
def slow(quick_stages, tmp_path):
    """A recipe whose first step ends when the file `release` appears."""
    return {
        "name": "s",
        "steps": {
            "wait": {"stage": "quick-slow", "release": str(tmp_path / "release")},
            "join": {"stage": "quick-model", "base": "builtin:pocket", "data": "step:wait"},
        },
    }


@pytest.fixture
def queue(workspace):
    database = Database.of(workspace)
    yield Queue(database, lease_seconds=5)
    database.close()


@pytest.fixture
def submitted(workspace):
    """Submit a recipe: `submitted(recipe, only=["make"])`."""
    return lambda recipe, **options: submit(recipe, workspace=workspace.root, **options)


@pytest.fixture
def states(queue):
    """The state of each job of a run, by step."""
    return lambda run: {job.step: job.state for job in queue.jobs(run=run)}


@pytest.fixture
def drain(workspace, queue):
    """Work until the queue is empty, in this thread; gives what the worker said."""

    def drain(slots=None):
        said = []
        QueueWorker(workspace, queue, slots or {"cpu": 1}, launcher_of=lambda _: None, say=said.append).run(
            until_idle=True
        )
        return said

    return drain


@pytest.fixture
def working(workspace, queue):
    """A worker in a thread: gives it. It is stopped at the end."""
    started = []

    def working(slots=None, queue=queue):
        worker = QueueWorker(workspace, queue, slots or {"cpu": 2}, launcher_of=lambda _: None, say=lambda _: None)
        thread = threading.Thread(target=worker.run)
        thread.start()
        started.append((worker, thread))
        worker.thread = thread
        return worker

    yield working
    for worker, thread in started:
        worker.stop()
        worker.stop()
        thread.join(30)
        assert not thread.is_alive()


@pytest.fixture
def worker_process(workspace, quick_stages, tmp_path):
    """`burnish worker` in a process of its own, killed at the end: `worker_process("--until-idle")`."""
    started = []

    def worker_process(*words, slots=1):
        script = Path(sys.executable).with_name("burnish")
        command = [script, "--workspace", str(workspace.root), "worker", "--slots", str(slots), *words]
        with (tmp_path / f"worker-{len(started)}.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=os.environ)
        started.append(process)
        return process

    yield worker_process
    for process in started:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()
