"""Submitted runs: their records, what runs, and the queue that is rebuilt from them."""

import json
import shutil
import sqlite3

import pytest
from sqlalchemy import delete

import burnish
from burnish.core.errors import AskError, MachineError, RunError
from burnish.core.plan import make_plan
from burnish.core.runs.submitted import SubmittedRun, is_in_progress
from burnish.jobs.database.tables import jobs, needs
from burnish.studio import runs
from burnish.studio.planning import as_recipe
from burnish.studio.queueing.jobs import cancel_run, requeue_lost, resume_run, work
from burnish.studio.queueing.opening import kept_open
from burnish.studio.queueing.reindexing import reindex_runs
from burnish.studio.queueing.submitting import queue_plan


def test_a_submitted_recipe_gives_what_a_run_gives(recipe, submitted, drain, workspace, tmp_path):
    found = submitted(recipe)
    assert (found.run, [job.state for job in found.jobs]) == ("r/1", ["queued", "queued"])
    drain()
    own = {run.folder.name: run.artifact() for run in workspace.find_runs("r/1")}
    direct = burnish.run(recipe, workspace=tmp_path / "other")
    for step, result in direct.steps.items():
        assert own[step].fingerprint == result.artifact.fingerprint
        assert own[step].measures == result.artifact.measures
        assert own[step].as_input("x").digest == result.artifact.as_input("x").digest


def test_finished_steps_are_reused_and_their_jobs_succeed_at_once(recipe, submitted, drain, workspace, states):
    burnish.run(recipe, workspace=workspace.root)
    again = submitted(recipe)
    assert again.run == "r/2"
    drain()
    assert states("r/2") == {"make": "succeeded", "join": "succeeded"}
    assert {run.name for run in workspace.find_runs("r/2")} == {"r/1/make", "r/1/join"}


def test_a_finished_step_that_is_damaged_while_its_job_waits_is_made_again(recipe, submitted, drain, workspace, states):
    burnish.run(recipe, workspace=workspace.root)
    submitted(recipe)
    made = workspace.run("r", 1, "make")
    file = next(path for path in made.out.iterdir() if path.is_file() and path.stat().st_size)
    file.write_bytes(file.read_bytes()[:-1])
    drain()
    assert states("r/2") == {"make": "succeeded", "join": "succeeded"}
    assert {run.name for run in workspace.find_runs("r/2")} >= {"r/2/make"}
    assert not workspace.run("r", 2, "make").artifact().damage({})


def test_what_was_submitted_is_what_runs_or_nothing(quick_stages, submitted, drain, workspace, tmp_path, states):
    rows = tmp_path / "rows.txt"
    rows.write_text("one\n")
    recipe = {"name": "r", "steps": {"join": {"stage": "quick-join", "source": [{"ref": f"file:{rows}"}]}}}
    run = submitted(recipe).run
    rows.write_text("another\n")
    drain()
    assert states(run) == {"join": "failed"}
    assert workspace.run("r", 1, "join").record["error"]["code"] == "run.input-changed"


def test_a_forced_step_runs_again(recipe, submitted, drain, workspace):
    burnish.run(recipe, workspace=workspace.root)
    submitted(recipe, force=["make"])
    drain()
    assert {run.name for run in workspace.find_runs("r/2")} == {"r/2/make", "r/1/join"}


def test_a_recipe_that_cannot_be_planned_leaves_nothing(recipe, submitted, workspace):
    recipe["steps"]["join"]["source"] = [{"ref": "file:/nowhere.txt"}]
    with pytest.raises(AskError):
        submitted(recipe)
    assert not workspace.runs.exists() or not list(workspace.runs.glob("*/*"))


def test_a_submitted_run_is_in_progress_until_its_jobs_have_ended(recipe, submitted, drain, workspace):
    submitted(recipe)
    assert is_in_progress(workspace, "r", 1)
    drain()
    assert not is_in_progress(workspace, "r", 1)


def test_a_stopped_run_is_cancelled_and_resumes(slow, submitted, drain, workspace, states, tmp_path):
    submitted(slow)
    assert runs.stop("s/1", workspace=workspace.root) == ["s/1"]
    assert states("s/1") == {"wait": "cancelled", "join": "cancelled"}
    assert not is_in_progress(workspace, "s", 1)
    (tmp_path / "release").touch()
    resumed = resume_run("s/1", workspace=workspace.root)
    assert [job.state for job in resumed] == ["queued", "queued"]
    drain()
    assert states("s/1") == {"wait": "succeeded", "join": "succeeded"}
    for act in (resume_run, cancel_run):
        with pytest.raises(AskError, match="no "):
            act("s/1", workspace=workspace.root)


def test_a_run_is_submitted_or_not_if_the_database_goes_away(recipe, workspace, drain, queue, states, monkeypatch):
    def away(recipe):
        workspace.database.rename(workspace.database.with_name("away"))
        return 0

    plan = make_plan(as_recipe(recipe), workspace)
    with kept_open(workspace.root) as (place, kept):
        workspace.database.rename(workspace.database.with_name("away"))
        with pytest.raises(MachineError):
            queue_plan(plan, place)
        assert not list(workspace.runs.glob("r/*"))
        workspace.database.with_name("away").rename(workspace.database)
        monkeypatch.setattr(kept, "newest_number", away)
        found = queue_plan(plan, place)  # it goes away between the first question and the last
        assert (found.run, found.jobs) == ("r/1", ())
        assert "queued once the database answers" in found.notes[-1]
        workspace.database.with_name("away").rename(workspace.database)
    requeue_lost(workspace, queue, lambda _: None)
    drain()
    assert states("r/1") == {"make": "succeeded", "join": "succeeded"}


def test_a_run_that_the_busy_database_did_not_take_is_kept_for_a_worker(recipe, workspace, queue, states, monkeypatch):
    def busy(new):
        raise MachineError("machine.database-busy", "the database is locked", "try again")

    plan = make_plan(as_recipe(recipe), workspace)
    with kept_open(workspace.root) as (place, kept):
        monkeypatch.setattr(kept, "add", busy)
        found = queue_plan(plan, place)  # a worker may have read its record, and wait for the same lock
    assert (found.run, found.jobs, states("r/1")) == ("r/1", (), {})
    assert "the database is locked" in found.notes[-1]
    requeue_lost(workspace, queue, print)
    assert states("r/1") == {"make": "queued", "join": "queued"}


def test_a_run_whose_folder_was_removed_keeps_its_number(recipe, submitted, drain, workspace, states):
    submitted(recipe)
    shutil.rmtree(workspace.runs / "r")
    again = submitted(recipe)
    assert (again.run, [job.state for job in again.jobs]) == ("r/2", ["queued", "queued"])
    assert {job.run for job in again.jobs} == {"r/2"}


def test_a_record_of_a_newer_burnish_stops_no_other_run(recipe, submitted, workspace, queue):
    submitted(recipe)
    submitted({**recipe, "name": "q"})
    path = workspace.queue_folder("r", 1) / "submitted.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "options": {**record["options"], "bogus": 1}}))
    with queue.database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM jobs")
    said = []
    assert requeue_lost(workspace, queue, said.append) == 2
    assert [job.run for job in queue.jobs()] == ["q/1", "q/1"]
    assert "r/1 is not queued again" in said[0]
    assert "bogus" in said[0]


def test_a_stop_that_the_database_refuses_leaves_no_request(slow, submitted, workspace, queue):
    submitted(slow)
    with queue.database.writing() as connection:
        connection.exec_driver_sql("CREATE TRIGGER no BEFORE UPDATE ON jobs BEGIN SELECT RAISE(ABORT, 'no'); END")
    for _ in range(2):
        with pytest.raises(sqlite3.IntegrityError):
            cancel_run("s/1", workspace=workspace.root)
    assert not workspace.stop_file("s", 1).exists()  # two lines in it would kill the step


def test_the_queue_is_rebuilt_from_the_folders(slow, recipe, submitted, drain, workspace, queue, tmp_path):
    submitted(recipe)
    submitted(slow)
    drained = tmp_path / "release"
    drained.touch()
    cancel_run("r/1", workspace=workspace.root)
    before = {(job.run, job.step): job.state for job in queue.jobs()}
    queue.database.close()
    for file in workspace.database.parent.glob("burnish.db*"):
        file.unlink()
    from burnish.jobs.database.database import Database
    from burnish.jobs.queue.queue import Queue

    fresh = Queue(Database.of(workspace))
    assert requeue_lost(workspace, fresh, print) == 2
    found = {(job.run, job.step): job.state for job in fresh.jobs()}
    assert found == {key: state for key, state in before.items() if key[0] == "s/1"}  # the cancelled run has ended
    fresh.database.close()


def test_a_run_that_was_submitted_and_never_queued_is_found_by_a_worker(recipe, submitted, states, queue, workspace):
    submitted(recipe)
    with queue.database.writing() as connection:  # as a process leaves it that was killed in between
        connection.execute(delete(needs))
        connection.execute(delete(jobs))
    work(until_idle=True, workspace=workspace.root, say=print)
    assert states("r/1") == {"make": "succeeded", "join": "succeeded"}


def test_reindexing_the_runs_queues_again_what_a_lost_database_knew(slow, submitted, workspace, queue):
    submitted(slow)
    queue.database.close()
    for file in workspace.database.parent.glob("burnish.db*"):
        file.unlink()
    assert [reindex_runs(workspace=workspace.root).queued for _ in range(2)] == [2, 0]


def test_a_damaged_record_of_a_submission_is_named(recipe, submitted, drain, workspace, states):
    submitted(recipe)
    path = workspace.queue_folder("r", 1) / "submitted.json"
    path.write_text(path.read_text()[:50])
    with pytest.raises(RunError) as broken:
        _ = SubmittedRun(workspace, "r", 1).options
    assert (broken.value.code, str(path) in broken.value.what) == ("run.broken-record", True)
    drain()
    assert states("r/1") == {"make": "failed", "join": "cancelled"}


def test_secrets_are_in_no_record(recipe, submitted, workspace):
    submitted(recipe)
    record = json.loads((workspace.queue_folder("r", 1) / "submitted.json").read_text())
    assert record["steps"][1]["needs"] == ["make"]
    assert (workspace.queue_folder("r", 1) / "submitted.json").stat().st_mode & 0o077 == 0
