"""The queue worker: order, failures, retries, limits, stops and takeovers, with real worker processes of steps."""

import os
import shutil
import signal
import sqlite3

import pytest

from burnish.core.runs.submitted import Options, SubmittedRun
from burnish.studio.executing.stopping import StopRequests
from burnish.studio.queueing import worker as of_worker
from burnish.studio.queueing.jobs import cancel_jobs, resume_run
from burnish.studio.queueing.submitting import submit_stage
from burnish.studio.queueing.worker import QueueWorker, _Held


def test_a_failed_step_cancels_those_that_need_it_and_says_why(
    quick_stages, recipe, submitted, drain, states, queue, workspace
):
    recipe["steps"]["make"] = {"stage": "quick-fail", "how": "value"}
    submitted(recipe)
    drain()
    assert states("r/1") == {"make": "failed", "join": "cancelled"}
    failed, cancelled = sorted(queue.jobs(run="r/1"), key=lambda job: job.id)
    assert failed.error["code"] == "run.failed"
    assert "make" in cancelled.reason
    assert SubmittedRun(workspace, "r", 1).end_of("make") == ("failed", failed.reason)


@pytest.mark.parametrize(("how", "code"), [("segfault", "run.killed"), ("silent-rank", "run.rank-silent")])
def test_an_error_that_may_pass_is_retried(quick_stages, submitted, drain, queue, monkeypatch, how, code):
    monkeypatch.setattr(of_worker, "backoff", lambda attempt, chance: 0.01)
    recipe = {"name": "f", "steps": {"one": {"stage": "quick-fail", "how": how}}}
    submitted(recipe, options=Options(retries=2))
    drain()
    (job,) = queue.jobs(run="f/1")
    assert (job.state, job.attempts, job.error["code"]) == ("failed", 3, code)


def test_a_run_whose_folder_is_gone_says_so(quick_stages, recipe, submitted, drain, queue, workspace):
    submitted(recipe)
    shutil.rmtree(workspace.runs / "r" / "1")
    drain()
    (job,) = queue.jobs(run="r/1", state="failed")
    assert "the folder of run r/1 is gone" in job.error["what"]
    assert job.error["fix"].startswith("submit the recipe again")


def test_a_cancelled_step_saves_its_state_and_resumes_there(
    slow, submitted, working, states, queue, until, workspace, tmp_path
):
    submitted(slow)
    working()
    run = workspace.run("s", 1, "wait")
    until(lambda: (run.scratch / "checkpoints" / "1").exists())
    cancel_jobs([job.id for job in queue.jobs(run="s/1") if job.step == "wait"], workspace=workspace.root)
    until(lambda: states("s/1") == {"wait": "cancelled", "join": "cancelled"})
    assert run.state == "interrupted"
    (tmp_path / "release").touch()
    resume_run("s/1", workspace=workspace.root)
    until(lambda: states("s/1") == {"wait": "succeeded", "join": "succeeded"})
    assert run.artifact().measures == {"resumed": True}


def test_the_time_limit_of_a_step_begins_when_it_starts(slow, submitted, queue, workspace):
    submitted(slow, options=Options(time_limit=1))
    worker = QueueWorker(workspace, queue, {"cpu": 1}, launcher_of=lambda _: None, say=lambda _: None)
    lease = queue.lease(queue.register_worker({"cpu": 1}), ["cpu"])
    held = _Held(lease, "cpu", StopRequests(workspace.stop_file("s", 1)))
    worker._held.append(held)
    worker._beat()
    assert not held.stops.requested  # it waits for another process that runs the same step
    held.progress.on_step_start(None, None)
    held.progress.began -= 2
    worker._beat()
    assert (held.stops.requested, held.why) == (True, "time")


def test_a_step_has_a_time_limit(slow, submitted, drain, queue, states, workspace):
    submitted(slow, options=Options(time_limit=1))
    drain()
    assert states("s/1") == {"wait": "failed", "join": "cancelled"}
    assert next(job for job in queue.jobs(run="s/1") if job.step == "wait").error["code"] == "run.time-limit"
    assert workspace.run("s", 1, "wait").state == "interrupted"


def test_a_worker_that_is_stopped_gives_its_jobs_back(slow, submitted, working, states, until, workspace, tmp_path):
    submitted(slow)
    first = working()
    until(lambda: (workspace.run("s", 1, "wait").scratch / "checkpoints" / "1").exists())
    first.stop()
    first.thread.join(30)
    assert states("s/1") == {"wait": "queued", "join": "queued"}
    (tmp_path / "release").touch()
    working()
    until(lambda: states("s/1") == {"wait": "succeeded", "join": "succeeded"})
    assert workspace.run("s", 1, "wait").artifact().measures == {"resumed": True}


def test_jobs_of_a_higher_priority_start_first(recipe, submitted, drain):
    low = submitted(recipe).run
    high = submitted(
        {**recipe, "name": "h", "steps": {"make": {"stage": "quick-make", "word": "ho"}}}, options=Options(priority=5)
    ).run
    started = [text.split(":")[0] for text in drain() if text.endswith("started")]
    assert started == [f"{high}/make", f"{low}/make", f"{low}/join"]


def test_independent_steps_run_at_the_same_time(quick_stages, submitted, working, states, until, tmp_path):
    release = str(tmp_path / "release")
    steps = {name: {"stage": "quick-slow", "release": release, "threads": n + 1} for n, name in enumerate("ab")}
    steps["b"]["checkpoint"] = False
    submitted({"name": "p", "steps": steps})
    working({"cpu": 2})
    until(lambda: states("p/1") == {"a": "running", "b": "running"})
    (tmp_path / "release").touch()
    until(lambda: states("p/1") == {"a": "succeeded", "b": "succeeded"})


def test_a_profile_waits_for_no_training_and_keeps_none_waiting(slow, submitted, working, states, until, workspace):
    submitted(slow)
    working({"cpu": 1, "light": 1})
    until(lambda: states("s/1")["wait"] == "running")
    (workspace.root / "rows.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    submit_stage("profile", source="file:rows.jsonl", workspace=workspace.root)
    until(lambda: states("profile/1")["profile"] in ("running", "succeeded"))
    assert states("s/1")["wait"] == "running"


def test_the_job_of_a_killed_worker_is_resumed_by_another(
    slow, submitted, worker_process, states, until, queue, workspace, tmp_path
):
    submitted(slow)
    first = worker_process()
    until(lambda: (workspace.run("s", 1, "wait").scratch / "checkpoints" / "1").exists())
    first.kill()
    first.wait()
    until(lambda: not workspace.run("s", 1, "wait").is_alive())
    (tmp_path / "release").touch()
    assert worker_process("--until-idle").wait(60) == 0
    assert states("s/1") == {"wait": "succeeded", "join": "succeeded"}
    assert workspace.run("s", 1, "wait").record["attempts"] == 2
    assert next(job for job in queue.jobs(run="s/1") if job.step == "wait").losses == 1


def test_a_forced_step_that_was_lost_is_resumed_not_replaced_by_an_older_result(
    slow, submitted, worker_process, drain, states, until, workspace, tmp_path
):
    release = tmp_path / "release"
    release.touch()
    submitted(slow)
    drain()
    release.unlink()
    submitted(slow, force=["wait"])
    first = worker_process()
    run = workspace.run("s", 2, "wait")
    until(lambda: (run.scratch / "checkpoints" / "1").exists())
    first.kill()
    first.wait()
    until(lambda: not run.is_alive())
    release.touch()
    assert worker_process("--until-idle").wait(60) == 0
    assert run.artifact().measures == {"resumed": True}


def test_a_step_of_a_worker_that_stands_still_is_not_run_twice(
    slow, submitted, worker_process, working, states, until, queue, workspace, tmp_path
):
    submitted(slow)
    first = worker_process()
    run = workspace.run("s", 1, "wait")
    until(lambda: (run.scratch / "checkpoints" / "1").exists())
    first.send_signal(signal.SIGSTOP)
    working()
    fence = next(job for job in queue.jobs(run="s/1") if job.step == "wait").fence
    until(lambda: next(job for job in queue.jobs(run="s/1") if job.step == "wait").fence > fence)
    os.kill(first.pid, signal.SIGCONT)
    (tmp_path / "release").touch()
    until(lambda: states("s/1") == {"wait": "succeeded", "join": "succeeded"})
    assert [event.state for event, _ in run.events.read() if event.kind == "state"].count("succeeded") == 1


def test_a_step_whose_lease_cannot_be_renewed_saves_its_state_and_goes_on_when_the_database_is_back(
    slow, submitted, working, states, until, queue, workspace, tmp_path
):
    submitted(slow)
    working()
    run = workspace.run("s", 1, "wait")
    until(lambda: (run.scratch / "checkpoints" / "1").exists())
    away = sqlite3.connect(workspace.database, isolation_level=None)
    away.execute("BEGIN IMMEDIATE")  # nobody renews a lease
    until(lambda: run.state == "interrupted")
    assert run.record["reason"] == "stopped at step 1"  # not killed
    (tmp_path / "release").touch()
    away.close()
    until(lambda: states("s/1") == {"wait": "succeeded", "join": "succeeded"})
    assert run.artifact().measures == {"resumed": True}
    assert next(job for job in queue.jobs(run="s/1") if job.step == "wait").losses == 0
