"""A run folder: its states, its lock, its artifact."""

import fcntl
import time

import pytest

from burnish.core.context import Input
from burnish.core.errors import AskError, RunError
from burnish.core.files import write_json
from burnish.core.runs.run import TRANSITIONS, Run

STATES = tuple(TRANSITIONS)


@pytest.mark.parametrize("old", STATES)
@pytest.mark.parametrize("new", STATES)
def test_every_transition_is_allowed_or_refused_as_in_the_table(finished, old, new):
    run = finished(state="running")
    record = run.record
    write_json(run.folder / "run.json", {**record, "state": old})
    if new in TRANSITIONS[old]:
        run.transition(new)
        assert run.record["state"] == new
    else:
        with pytest.raises(RunError) as caught:
            run.transition(new)
        assert caught.value.code == "run.bad-transition"
        assert run.record["state"] == old


def test_a_run_counts_its_attempts_and_records_its_states(finished):
    run = finished(state="failed")
    run.transition("running")
    assert run.record["attempts"] == 2
    assert "ended" not in run.record
    assert [event.state for event, _ in run.events.read() if event.kind == "state"] == [
        "planned",
        "running",
        "failed",
        "running",
    ]


def test_a_run_whose_worker_is_gone_is_killed(finished):
    run = finished(state="running")
    with run.lock():
        assert run.is_alive()
        assert run.state == "running"
    assert not run.is_alive()
    assert run.state == "killed"


def test_a_run_that_was_killed_after_its_artifact_was_written_has_succeeded(finished):
    run = finished()
    write_json(run.folder / "run.json", {**run.record, "state": "running"})
    assert run.state == "succeeded"


def test_reading_a_run_creates_no_file_and_needs_no_write_permission(finished):
    run = finished()
    (run.folder / "run.lock").unlink()
    before = sorted(run.folder.iterdir())
    assert (run.state, run.is_alive()) == ("succeeded", False)
    assert sorted(run.folder.iterdir()) == before


def test_concurrent_checks_of_a_lock_do_not_report_a_worker(finished):
    from concurrent.futures import ThreadPoolExecutor

    run = finished(state="running")
    with ThreadPoolExecutor(8) as pool:
        assert not any(pool.map(lambda _: Run(run.folder).is_alive(), range(200)))


def test_a_check_of_a_lock_waits_for_no_other_check_and_sees_its_holder_at_once(finished):
    """Several checks overlap for as long as the system likes: none may take another for a worker."""
    run = finished(state="running")
    with (run.folder / "run.lock").open() as other:
        fcntl.flock(other, fcntl.LOCK_SH)  # a check that the system has suspended
        began = time.monotonic()
        assert not run.is_alive()
        assert time.monotonic() - began < 0.1
    with run.lock():
        assert run.is_alive()
    (run.folder / "run.lock").unlink()
    assert not run.is_alive()
    assert not (run.folder / "run.lock").exists()


def test_an_artifact_finds_its_inputs_after_the_workspace_was_moved(finished, workspace, tmp_path):
    base = finished("r", 1, "base", kind="model", fingerprint="b")
    outside = tmp_path / "outside"
    outside.mkdir()
    inputs = {"base": base.artifact().as_input("step:base"), "data": Input("file:x", "folder", outside)}
    finished("r", 1, "tune", kind="adapter", inputs=inputs)
    moved = workspace.root.rename(tmp_path / "moved")
    artifact = Run(moved / "runs/r/1/tune").artifact()
    assert artifact.path == moved / "runs/r/1/tune/out"
    assert artifact.inputs["base"].path == moved / "runs/r/1/base/out"
    assert artifact.inputs["base"].path.is_dir()
    assert artifact.inputs["data"].path == outside


def test_a_folder_without_run_json_is_not_a_run(tmp_path):
    with pytest.raises(AskError) as caught:
        _ = Run(tmp_path / "runs/r/1/s").record
    assert caught.value.code == "ask.no-such-run"


def test_secrets_in_settings_and_reasons_are_masked(workspace):
    run = workspace.run("r", 1, "s")
    token = "hf_" + "a" * 34
    job = {"recipe": "r", "number": 1, "step": "s", "stage": "x", "fingerprint": "f", "inputs": {}}
    run.create({**job, "spec": {"word": token}})
    run.transition("failed", reason=f"no {token}", error={"what": token})
    for name in ("spec.json", "run.json", "events.jsonl"):
        assert token not in (run.folder / name).read_text()


def test_a_folder_that_is_gone_is_no_run_and_a_resumed_one_gets_its_new_settings(finished, tmp_path):
    with pytest.raises(AskError) as caught:
        _ = Run(tmp_path / "r/1/s").record
    assert caught.value.code == "ask.no-such-run"
    run = finished(state="failed")
    before = run.record_of("job.json")
    run.update_job({"spec": {"word": "new"}, "inputs": {}, "stage": "other"})
    assert run.record_of("job.json") == {**before, "spec": {"word": "new"}, "inputs": {}}
    assert run.record_of("spec.json") == {"word": "new"}
    assert (run.folder / "job.json").stat().st_mode & 0o777 == 0o600
    assert run.folder.stat().st_mode & 0o777 == 0o700
