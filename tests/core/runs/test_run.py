"""A run folder: its states, its lock, its artifact."""

import fcntl
import time
from pathlib import Path

import pytest
from filelock import FileLock

from burnish.core.context import Input
from burnish.core.errors import AskError, RunError
from burnish.core.files import write_json
from burnish.core.runs.run import TRANSITIONS, Run, is_held, run_of_output

ALLOWED = {
    "planned": {"running", "failed", "interrupted"},
    "running": {"succeeded", "failed", "interrupted", "running"},  # the last: a killed attempt is resumed
    "failed": {"running"},
    "interrupted": {"running"},
    "succeeded": set(),
}
STATES = tuple(ALLOWED)


@pytest.mark.parametrize("old", STATES)
@pytest.mark.parametrize("new", STATES)
def test_every_transition_is_allowed_or_refused_as_in_the_table(finished, old, new):
    run = finished(state="running")
    record = run.record
    write_json(run.folder / "run.json", {**record, "state": old})
    if new in ALLOWED[old]:
        run.transition(new)
        assert run.record["state"] == new
    else:
        with pytest.raises(RunError) as caught:
            run.transition(new)
        assert caught.value.code == "run.bad-transition"
        assert run.record["state"] == old


def test_the_table_of_transitions_has_every_state():
    assert {old: set(new) for old, new in TRANSITIONS.items()} == ALLOWED


def test_a_check_of_a_lock_does_not_keep_it(tmp_path):
    lock, other = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert not is_held(lock)
    assert not lock.is_locked
    with other:
        assert is_held(lock)
    assert not is_held(lock)


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


JOB = {"recipe": "r", "number": 4, "step": "s", "stage": "x", "fingerprint": "f", "spec": {"a": 1}, "inputs": {}}


def test_a_new_run_has_its_folder_its_records_and_its_first_event(workspace):
    before = time.time()
    run = workspace.run("r", 4, "s")
    run.create({**JOB, "more": "x"})
    root = workspace.root
    assert (run.name, run.workspace, run.folder) == ("r/4/s", root, root / "runs/r/4/s")
    assert (run.out, run.partial) == (run.folder / "out", run.folder / "out.partial")
    assert (run.scratch, run.log) == (run.folder / "scratch", run.folder / "run.log")
    assert run.lock().lock_file == str(run.folder / "run.lock")
    record = run.record
    assert before <= record.pop("created") <= time.time()
    common = {key: JOB[key] for key in ("recipe", "number", "step", "stage", "fingerprint")}
    assert record == {**common, "state": "planned", "attempts": 0}
    assert (run.record_of("job.json"), run.record_of("spec.json")) == ({**JOB, "more": "x"}, {"a": 1})
    assert sorted(path.name for path in run.folder.iterdir()) == [
        *("events.jsonl", "job.json", "run.json", "scratch", "spec.json")
    ]
    modes = {name: (run.folder / name).stat().st_mode & 0o777 for name in (".", "job.json", "run.json", "spec.json")}
    assert modes == {".": 0o700, "job.json": 0o600, "run.json": 0o644, "spec.json": 0o644}
    assert (run.artifact(), run.state, run.is_alive()) == (None, "planned", False)
    with pytest.raises(FileExistsError):
        run.create(JOB)
    workspace.run("r", 4, "t").create({**JOB, "step": "t"})


ERROR = {"code": "machine.no-disk", "what": "no disk", "fix": "free some", "exit_status": 5}


def test_each_change_of_state_is_recorded_with_its_time_reason_and_details(workspace):
    run = workspace.run("r", 4, "s")
    run.create(JOB)
    common = {key: value for key, value in run.record.items() if key != "state"}
    times = []
    for state, reason, more in (
        ("running", "", {"pid": 7}),
        ("failed", "no disk", {"error": ERROR}),
        ("running", "", {"pid": 8}),
        ("succeeded", "", {}),
    ):
        run.transition(state, reason, **more)
        record = run.record
        times.append(record["started"] if state == "running" else record["ended"])
        assert ("ended" in record) == (state != "running")
        assert (record["state"], record["reason"]) == (state, reason)
        assert {key: record[key] for key in more} == more
    assert times == sorted(times)
    assert run.record == {
        **common,
        "state": "succeeded",
        "reason": "",
        "attempts": 2,
        "started": times[2],
        "ended": times[3],
        "pid": 8,
        "error": ERROR,
    }
    assert [(event.state, event.reason) for event, _ in run.events.read()] == [
        *(("planned", ""), ("running", ""), ("failed", "no disk"), ("running", ""), ("succeeded", ""))
    ]
    with pytest.raises(RunError) as caught:
        run.transition("running")
    assert (caught.value.what, caught.value.fix) == (
        "run r/4/s is succeeded and cannot become running",
        "start a new run",
    )


def test_a_run_that_ends_while_its_state_is_read_has_the_state_it_ended_in(finished):
    class Ending(Run):
        def is_alive(self):
            Run(self.folder).transition("failed")
            return False

    assert Ending(finished(state="running").folder).state == "failed"


@pytest.mark.parametrize("name", ["events.jsonl", "run.log", "run.lock"])
def test_a_log_or_lock_that_is_a_folder_is_reported_with_its_repair(finished, name):
    run = finished(state="running")
    (run.folder / name).unlink(missing_ok=True)
    (run.folder / name).mkdir()
    for call in (run.is_alive, run.refuse_misplaced_logs):
        with pytest.raises(RunError) as caught:
            call()
        assert caught.value.code == "run.broken-record"
        assert caught.value.what == f"{run.folder / name} is a folder, not a file"
        assert caught.value.fix == f"rename or remove {run.folder / name}, and run the command again"


def test_a_missing_run_is_reported_with_its_folder(tmp_path):
    with pytest.raises(AskError) as caught:
        _ = Run(tmp_path / "r/1/s").record
    assert (caught.value.what, caught.value.fix) == (
        f"there is no run at {tmp_path}/r/1/s",
        "see `burnish runs list`",
    )


@pytest.mark.parametrize(
    ("path", "run"),
    [
        ("/place/runs/r/1/s/out", "/place/runs/r/1/s"),
        ("/runs/r/1/s/out", "/runs/r/1/s"),
        ("/runs/runs/runs/1/s/out", "/runs/runs/runs/1/s"),
        ("/place/runs/r/1/s/scratch", None),
        ("/place/run/r/1/s/out", None),
        ("/place/runs/a/r/1/s/out", None),
        ("/place/runs/1/s/out", None),
        ("/out", None),
        ("out", None),
    ],
)
def test_the_run_of_an_output_folder_is_known_by_its_path(path, run):
    found = run_of_output(Path(path))
    assert (str(found.folder) if found is not None else None) == run
