"""Stops, kills and ends of jobs, and what the run folders know of them."""

import os
import re
import shutil
import signal
import subprocess
import threading

import pytest

from burnish.core.errors import MachineError
from burnish.core.processes import module_command
from burnish.core.runs.submitted import SubmittedRun, is_in_progress
from burnish.jobs.database.database import Database
from burnish.jobs.queue.queue import Queue
from burnish.studio import runs
from burnish.studio.listing.pages import runs_page
from burnish.studio.queueing.jobs import cancel_jobs, cancel_run, resume_run, work
from burnish.studio.registry import gc


@pytest.fixture
def talking(quick_stages, tmp_path):
    """A recipe whose step needs two seconds to save its state."""
    step = {"stage": "quick-talk", "release": str(tmp_path / "release"), "pause": 2.0}
    return {"name": "t", "steps": {"talk": step}}


def one(queue, run, step):
    return next(job for job in queue.jobs(run=run) if job.step == step)


def test_one_stop_lets_a_step_save_its_state(talking, submitted, working, states, until, workspace):
    submitted(talking)
    working()
    run = workspace.run("t", 1, "talk")
    until(lambda: run.events.path.exists() and "talking 1" in run.events.path.read_text())
    assert runs.stop("t/1", workspace=workspace.root) == ["t/1"]
    until(lambda: states("t/1") == {"talk": "cancelled"})
    assert run.record["error"]["what"] == "stopped after it was saved"
    assert (run.scratch / "checkpoints" / "1").is_dir()


def test_a_second_cancel_kills_a_step_that_does_not_listen(slow, submitted, working, states, until, queue, workspace):
    slow["steps"]["wait"]["deaf"] = True
    submitted(slow)
    working()
    until(lambda: (workspace.run("s", 1, "wait").scratch / "checkpoints" / "1").exists())
    for requested in ("stop", "kill"):
        (job,) = cancel_jobs([one(queue, "s/1", "wait").id], workspace=workspace.root)
        assert job.requested == requested
    until(lambda: states("s/1") == {"wait": "cancelled", "join": "cancelled"})


def test_a_step_that_somebody_else_stops_is_resumed(slow, submitted, working, states, until, workspace, tmp_path):
    submitted(slow)
    working()
    run = workspace.run("s", 1, "wait")
    until(lambda: (run.scratch / "checkpoints" / "1").exists())
    os.kill(run.record["pid"], signal.SIGTERM)
    until(lambda: run.record["state"] == "interrupted")
    (tmp_path / "release").touch()
    until(lambda: states("s/1") == {"wait": "succeeded", "join": "succeeded"})
    assert run.artifact().measures == {"resumed": True}


def test_a_run_folder_that_is_removed_ends_no_worker(recipe, submitted, drain, states, workspace):
    submitted(recipe)
    submitted({**recipe, "name": "other"})
    shutil.rmtree(workspace.runs / "r" / "1")
    drain()
    assert states("other/1") == {"make": "succeeded", "join": "succeeded"}
    assert states("r/1") == {"make": "failed", "join": "cancelled"}


def test_ends_that_no_worker_reported_are_recorded_by_the_next_one(recipe, submitted, drain, queue, workspace):
    submitted(recipe)
    gone = queue.register_worker({"cpu": 1})
    lease = queue.lease(gone, ("cpu",))
    queue.finish(lease, "failed", reason="killed before it was recorded")
    assert is_in_progress(workspace, "r", 1)
    drain()
    assert not is_in_progress(workspace, "r", 1)
    assert SubmittedRun(workspace, "r", 1).end_of("make") == ("failed", "killed before it was recorded")
    resume_run("r/1", workspace=workspace.root)
    assert SubmittedRun(workspace, "r", 1).end_of("make") is None
    drain()
    assert SubmittedRun(workspace, "r", 1).end_of("join") == ("succeeded", "")


def test_a_stopped_run_resumes_after_its_database_was_lost(recipe, submitted, drain, workspace, queue):
    submitted(recipe)
    cancel_run("r/1", workspace=workspace.root)
    queue.database.close()
    for file in workspace.database.parent.glob("burnish.db*"):
        file.unlink()
    assert [job.state for job in resume_run("r/1", workspace=workspace.root)] == ["queued", "queued"]
    fresh = Queue(Database.of(workspace))
    assert [job.state for job in fresh.jobs()] == ["queued", "queued"]
    fresh.database.close()


@pytest.mark.parametrize("change", ["removed", "restored"])
def test_a_worker_whose_database_is_replaced_saves_its_state_and_ends_with_the_reason(
    slow, submitted, drain, workspace, until, tmp_path, change
):
    submitted(slow)
    run = workspace.run("s", 1, "wait")
    backup = shutil.copytree(workspace.database.parent, tmp_path / "backup")  # nobody writes now

    def replace():
        until(lambda: (run.scratch / "checkpoints" / "1").exists())
        for file in workspace.database.parent.glob("burnish.db*"):
            file.unlink()
        if change == "restored":
            shutil.copytree(backup, workspace.database.parent, dirs_exist_ok=True)

    replacing = threading.Thread(target=replace)
    replacing.start()
    with pytest.raises(MachineError, match=r"was (removed|replaced)") as error:
        drain()
    replacing.join()
    assert re.search("start (this program|its workers) again", error.value.fix)
    assert run.state == "interrupted"
    (tmp_path / "release").touch()
    work(until_idle=True, workspace=workspace.root, say=lambda _: None)
    assert run.artifact().measures == {"resumed": True}


def test_gc_keeps_what_a_stopped_run_needs_to_resume(recipe, submitted, drain, states, workspace):
    submitted(recipe)
    cancel_run("r/1", workspace=workspace.root)
    gc(delete=True, workspace=workspace.root)
    resume_run("r/1", workspace=workspace.root)
    drain()
    assert states("r/1") == {"make": "succeeded", "join": "succeeded"}


def test_a_damaged_record_of_the_queue_damages_one_run_alone(recipe, submitted, drain, workspace):
    submitted(recipe)
    submitted({**recipe, "name": "other"})
    (workspace.queue_folder("r", 1) / "submitted.json").write_text("{")
    page = runs_page(workspace=workspace.root)
    assert {run["run"]: run["state"] for run in page.items}["r/1"] == "damaged"
    doubts = []
    gc(workspace=workspace.root, say=doubts.append)
    assert any("submitted.json" in doubt for doubt in doubts)


def test_signals_of_a_service_manager_and_of_a_parent_are_one_request(slow, submitted, queue, until, workspace):
    submitted(slow)
    words = ("--workspace", str(workspace.root), "--parent", str(os.getpid()))
    worker = subprocess.Popen(module_command("burnish.studio.serving.embedded", *words))
    try:
        run = workspace.run("s", 1, "wait")
        until(lambda: (run.scratch / "checkpoints" / "1").exists())
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            worker.send_signal(number)
        assert worker.wait(60) == 0
    finally:
        worker.kill()
        worker.wait()
    assert (run.record["state"], run.record["reason"]) == ("interrupted", "stopped at step 1")
    job = one(queue, "s/1", "wait")
    assert (job.state, job.reason) == ("queued", "its worker was stopped")
