"""The worker: one step in a process of its own, whatever happens to it."""

import json
import resource
import signal
import subprocess
import sys
import time

import pytest

from burnish.core.errors import RunError
from burnish.core.events import read_events
from burnish.core.files import write_json
from burnish.core.fingerprint import of_path
from burnish.studio.runs import stop

TOKEN = "hf_" + "CANARY" * 6


def files_of(run):
    return sorted(path.name for path in run.folder.iterdir())


def nothing_half_made(run):
    return not ({"out", "out.partial", "artifact.json"} & set(files_of(run)))


def working(run):
    return lambda: run.events.path.exists() and '"work"' in run.events.path.read_text()


def test_a_step_that_succeeds_leaves_an_artifact_and_no_scratch(prepared, finish):
    run = prepared("quick-make", word="hi", times=2)
    ended = finish(run)
    assert (ended.status, ended.state) == (0, "succeeded")
    assert (run.out / "words.txt").read_text() == "hi\nhi\n"
    artifact = run.artifact()
    assert (artifact.kind, artifact.name, artifact.version, artifact.measures) == ("dataset", "r.s", "1", {"words": 2})
    assert artifact.spec["seed"] == 0, "the record holds defaults too"
    assert not run.scratch.exists()
    assert [event.kind for event in read_events(run.events.path)] == ["state", "state", "note", "state"]
    log = run.log.read_text()
    assert "DEBUG" in log
    assert '"word": "hi"' in log


def test_a_setting_that_nothing_read_fails_the_run_by_its_name(prepared, finish, workspace):
    (workspace.root / "words.txt").write_text("a\n")
    run = prepared("quick-join", source="file:x", read="source", voice={"kind": "whisper", "softness": 0.1})
    job = json.loads((run.folder / "job.json").read_text())
    given = {"ref": "file:x", "kind": "file", "path": "words.txt", "fingerprint": "", "revision": "", "inputs": {}}
    (run.folder / "job.json").write_text(json.dumps({**job, "inputs": {"source": given}}))
    ended = finish(run)
    assert (ended.status, ended.code) == (6, "run.unread-setting")
    assert ended.what.endswith("unused setting: voice")
    assert nothing_half_made(run)


def test_unread_settings_are_found_before_the_long_work(prepared, finish):
    ended = finish(prepared("quick-join", source="file:x", read="nothing"))
    assert ended.code == "run.unread-setting"
    assert ended.what.endswith("unused setting: source")


FAULTS = {
    "value": (6, "run.failed", "ValueError: no good"),
    "long": (6, "run.failed", "w" * 200),
    "disk": (5, "machine.no-disk", "somewhere"),
    "arrow-disk": (5, "machine.no-disk", "full"),
    "memory": (5, "machine.no-memory", "12 GiB"),
    "torch-memory": (5, "machine.no-memory", "can't allocate memory"),
    "package": (5, "machine.no-package", "a_package_that_nobody_has"),
    "exit": (9, "run.failed", "status 9"),
    "abrupt": (3, "run.failed", "status 3"),
    "status-5": (5, "run.failed", "status 5"),
    "segfault": (-signal.SIGSEGV, "run.killed", "SIGSEGV"),
}


@pytest.mark.parametrize("how", FAULTS)
def test_each_way_to_fail_is_told_and_leaves_nothing_half_made(prepared, finish, how):
    status, code, part = FAULTS[how]
    run = prepared("quick-fail", how=how, token=TOKEN)
    ended = finish(run)
    assert (ended.status, ended.state, ended.code) == (status, "failed", code)
    assert part in ended.what
    assert ended.fix
    assert nothing_half_made(run)
    for path in run.folder.glob("*"):
        if path.is_file() and path.name != "job.json":
            assert "CANARY" not in path.read_text(), path.name
    if how == "abrupt":
        assert "last words" in ended.log
        assert "burnish doctor r/1/s" in ended.fix
    if how == "segfault":
        assert "Segmentation fault" in run.log.read_text()
    if how == "long":  # rich is quadratic in the length of a word
        log = run.log.read_text()
        assert all(2000 <= log.count(letter) < 8000 for letter in "wxyz"), "each is cut"
    if how == "value":
        log = run.log.read_text()
        assert "Traceback" in log
        assert "hidden" in log, "the values of locals are shown"
        assert "short1" not in log, "but not those named like a secret"


def test_an_error_that_a_worker_cannot_record_is_recorded_for_it(prepared, finish):
    run = prepared("quick-fail", how="unwritable")
    ended = finish(run)
    assert (ended.status, ended.state, ended.code) == (6, "failed", "run.failed")
    assert ended.what == "/somewhere: Input/output error"
    assert [event.code for event in read_events(run.events.path) if event.kind == "failed"] == ["run.failed"]


def test_an_error_that_nobody_can_record_is_raised(prepared, started, launcher):
    run = prepared("quick-fail", how="unwritable")
    process = started(run)
    process.wait(30)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        for _ in range(2):
            with pytest.raises(RunError, match="/somewhere: Input/output error"):
                launcher.poll(process, run)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.some
@pytest.mark.parametrize("how", ["thread", "exit-handler"])
def test_a_worker_ends_although_a_thread_or_an_exit_handler_of_a_library_does_not(prepared, finish, how):
    run = prepared("quick-fail", how=how)
    ended = finish(run)  # it takes the three seconds that libraries are given
    assert (ended.status, ended.state) == (0, "succeeded")
    assert run.artifact().kind == "dataset"
    assert "exits without waiting any longer for threads and exit handlers" in run.log.read_text()


def test_a_worker_waits_for_threads_and_exit_handlers_and_leaves_its_memory_to_the_system(prepared, finish):
    run = prepared("quick-fail", how="at-exit")
    assert finish(run).state == "succeeded"
    log = run.log.read_text()
    assert "the thread ended" in log
    assert "the handler ran" in log
    assert "the interpreter was torn down" not in log


def test_nothing_a_stage_prints_or_says_shows_a_secret(prepared, finish, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "environment-canary")
    run = prepared("quick-fail", how="print", token=f"{TOKEN} environment-canary")
    assert finish(run).state == "succeeded"
    assert "printed •••" in run.log.read_text()
    assert "to stderr •••" in run.log.read_text()
    for path in run.folder.rglob("*"):
        if path.is_file() and path.name != "job.json":
            assert b"CANARY" not in path.read_bytes(), path.name
            assert b"environment-canary" not in path.read_bytes(), path.name


def test_a_full_disk_leaves_nothing_half_made_and_says_so(prepared, finish, monkeypatch):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    run = prepared("quick-fail", how="big")
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))  # the worker inherits it
    try:
        ended = finish(run)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (ended.status, ended.code) == (5, "machine.no-disk")
    assert nothing_half_made(run)


def test_an_attempt_that_was_killed_between_rename_and_record_is_made_again(prepared, finish):
    run = prepared("quick-make")
    run.out.mkdir()
    (run.out / "from-before.txt").write_text("old")
    assert finish(run).state == "succeeded"
    assert [path.name for path in run.out.iterdir()] == ["words.txt"]


def test_a_first_sigterm_lets_the_stage_save_and_end(prepared, started, finish, until):
    run = prepared("quick-slow", release="never")
    process = started(run)
    until(working(run))
    process.send_signal(signal.SIGTERM)
    ended = finish(run, process)
    assert (ended.status, ended.state, ended.code) == (6, "interrupted", "run.interrupted")
    assert (run.scratch / "checkpoints" / "1").is_dir()
    assert nothing_half_made(run)


def test_two_signals_of_one_cause_are_one_request(prepared, started, finish, until):
    run = prepared("quick-talk", release="never", pause=0.3)
    process = started(run)
    until(lambda: run.events.path.exists() and '"talking' in run.events.path.read_text())
    process.send_signal(signal.SIGTERM)
    time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert finish(run, process).what == "stopped after it was saved"


def test_a_second_signal_ends_it_at_once(prepared, started, finish, until):
    run = prepared("quick-slow", release="never", deaf=True)
    process = started(run)
    until(working(run))
    process.send_signal(signal.SIGINT)
    assert process.poll() is None
    until(lambda: process.send_signal(signal.SIGINT) is None and process.poll() is not None)
    ended = finish(run, process)
    assert (ended.status, ended.state, ended.code) == (130, "interrupted", "run.interrupted")
    assert nothing_half_made(run)


def test_a_killed_worker_is_told_as_killed_and_goes_on_from_its_checkpoint(prepared, started, finish, until, tmp_path):
    run = prepared("quick-slow", release=str(tmp_path / "go"))
    process = started(run)
    until(working(run))
    process.kill()
    ended = finish(run, process)
    assert (ended.state, ended.code) == ("failed", "run.killed")
    assert "SIGKILL" in ended.what
    assert "run the same command again" in ended.fix
    assert nothing_half_made(run)
    (tmp_path / "go").touch()
    assert finish(run).state == "succeeded"
    assert run.artifact().measures == {"resumed": True}
    assert run.record["attempts"] == 2


@pytest.mark.parametrize(
    ("edit", "resume", "warns"), [(True, "auto", True), (True, "never", False), (False, "auto", False)]
)
def test_an_input_that_was_edited_and_put_back_around_a_kill_is_reported(
    prepared, started, finish, until, workspace, tmp_path, edit, resume, warns
):
    words = workspace.root / "words.txt"
    words.write_text("a\n")
    run = prepared("quick-slow", release=str(tmp_path / "go"), source="file:words.txt", resume=resume)
    job = json.loads((run.folder / "job.json").read_text())
    fingerprint = of_path(words, {})
    given = {"ref": "file:x", "kind": "file", "path": "words.txt", "fingerprint": fingerprint}
    inputs = {"source": given | {"revision": "", "inputs": {}}}
    (run.folder / "job.json").write_text(json.dumps({**job, "inputs": inputs}))
    process = started(run)
    until(working(run))
    if edit:
        words.write_text("b\n")
    process.kill()
    finish(run, process)
    if edit:
        words.write_text("a\n")
    (tmp_path / "go").touch()
    assert finish(run).state == "succeeded"
    warnings = [event.text for event in read_events(run.events.path) if getattr(event, "level", "") == "warning"]
    assert bool(warnings) == warns
    if warns:
        assert f"file:x was written ({words}) since this step first started" in warnings[0]


def test_a_run_in_progress_is_left_alone_by_a_second_worker(prepared, started, finish, launcher, until):
    run = prepared("quick-slow", release="never")
    started(run)
    until(working(run))
    second = finish(run)
    assert second.status == 75
    assert (run.state, run.record["attempts"]) == ("running", 1)
    assert "in progress in another process" in run.log.read_text()


def test_the_worker_ends_when_its_parent_is_killed(prepared, until, tmp_path):
    run = prepared("quick-slow", release="never")
    code = (
        "import sys, time; from pathlib import Path; from burnish.core.runs.run import Run\n"
        "from burnish.jobs.launchers.local import LocalLauncher\n"
        "LocalLauncher().start(Run(Path(sys.argv[1]))); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(run.folder)])
    until(working(run))
    parent.kill()
    parent.wait()
    until(lambda: not run.is_alive())
    assert run.record["state"] == "interrupted"


def test_a_worker_whose_driver_is_gone_is_told_to_stop_and_no_other_process_that_has_its_number(
    prepared, started, finish, until, workspace
):
    run = prepared("quick-slow", release="never")
    process = started(run)
    until(working(run))
    record = run.record
    for other in ({"started": "1"}, {"boot": "another machine"}):
        write_json(run.folder / "run.json", {**record, "process": {**record["process"], **other}})
        with pytest.raises(RunError, match=f"process {process.pid} of"):
            stop("r/1", workspace=workspace.root)
    assert process.poll() is None
    write_json(run.folder / "run.json", record)
    assert stop("r/1", workspace=workspace.root) == ["r/1/s"]
    assert finish(run, process).state == "interrupted"


def test_a_worker_whose_parent_is_already_gone_does_not_begin(prepared):
    run = prepared("quick-make")
    done = subprocess.run([sys.executable, "-m", "burnish.jobs", str(run.folder), "1"], check=False)
    assert done.returncode == 128 + signal.SIGTERM
    assert run.state == "planned"


def test_processes_that_a_worker_starts_do_not_import_what_it_imports():
    code = (
        "import sys, importlib.util, multiprocessing.spawn as spawn\n"
        "sys.modules['__main__'].__spec__ = importlib.util.find_spec('burnish.jobs.__main__')\n"
        "spawn.prepare(spawn.get_preparation_data('child'))\n"
        "assert 'burnish.jobs' in sys.modules and 'burnish.jobs.worker' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_job_whose_package_is_gone_fails_with_words(prepared, finish, monkeypatch):
    run = prepared("quick-make")
    monkeypatch.delenv("PYTHONPATH")
    ended = finish(run)
    assert (ended.status, ended.code) == (2, "ask.unknown-stage")
