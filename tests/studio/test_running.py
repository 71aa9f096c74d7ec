"""Running recipes: reuse, resume, refusals, and what a watcher hears."""

import errno
import os
import shutil
import signal
import subprocess
import sys

import pytest

import burnish
from burnish.core.errors import AskError, DataError, MachineError, RunError
from burnish.studio.executing import results


def actions(result):
    return {name: step.action for name, step in result.steps.items()}


def test_what_was_made_is_reused_until_something_changes(recipe, workspace):
    first = burnish.run(recipe, workspace=workspace.root)
    assert actions(first) == {"make": "run", "join": "run"}
    assert first["join"].metrics == {"words": 1}
    assert (first["join"].path / "words.txt").read_text() == "hi\n"
    again = burnish.run(recipe, workspace=workspace.root)
    assert actions(again) == {"make": "reuse", "join": "reuse"}
    assert again["join"].path == first["join"].path
    changed = {**recipe, "steps": {**recipe["steps"], "make": {"stage": "quick-make", "word": "ho"}}}
    third = burnish.run(changed, workspace=workspace.root)
    assert actions(third) == {"make": "run", "join": "run"}
    assert (third.name, third.metrics["make"]) == ("r/3", {"words": 1})


def test_from_force_and_only(recipe, workspace):
    burnish.run(recipe, workspace=workspace.root, only=["make"])
    assert actions(burnish.run(recipe, workspace=workspace.root)) == {"make": "reuse", "join": "run"}
    assert actions(burnish.run(recipe, workspace=workspace.root, start="join")) == {"make": "reuse", "join": "run"}
    assert actions(burnish.run(recipe, workspace=workspace.root, force=["*"])) == {"make": "run", "join": "run"}


def test_a_moved_workspace_is_reused_and_its_artifacts_resolve(recipe, workspace, tmp_path):
    burnish.run(recipe, workspace=workspace.root)
    moved = workspace.root.rename(tmp_path / "moved")
    result = burnish.run(recipe, workspace=moved)
    assert actions(result) == {"make": "reuse", "join": "reuse"}
    assert result["join"].path.is_relative_to(moved)
    assert result["join"].artifact.inputs["source.0.ref"].path == moved / "runs/r/1/make/out"
    joined = burnish.run_stage("quick-join", source="r.make@latest", workspace=moved)
    assert joined.metrics == {"words": 1}


def test_latest_is_what_the_newest_run_has_reused_steps_included_in_a_copy_too(recipe, workspace, tmp_path):
    hi = {**recipe, "steps": {**recipe["steps"]}}
    ho = {**recipe, "steps": {**recipe["steps"], "make": {"stage": "quick-make", "word": "ho"}}}
    for given in (hi, ho, hi):
        burnish.run(given, workspace=workspace.root)
    burnish.run({**ho, "name": "renamed"}, workspace=workspace.root)
    copy = tmp_path / "copy"
    shutil.copytree(workspace.root, copy, copy_function=shutil.copyfile)
    for age, path in enumerate(sorted(copy.rglob("*"))):
        os.utime(path, (10**9 - age, 10**9 - age))
    for root in (workspace.root, copy):
        for ref, word in (("r.join@latest", "hi"), ("r.join@3", "hi"), ("r.join@2", "ho"), ("renamed.join@1", "ho")):
            joined = burnish.run_stage("quick-join", source=ref, workspace=root)
            assert (joined.path / "words.txt").read_text() == f"{word}\n", (root, ref)


def test_the_steps_error_is_raised_here_and_the_next_run_tries_again(recipe, workspace):
    recipe["steps"]["join"] = {"stage": "quick-fail", "how": "disk"}
    with pytest.raises(MachineError) as caught:
        burnish.run(recipe, workspace=workspace.root)
    assert caught.value.code == "machine.no-disk"
    recipe["steps"]["join"] = {"stage": "quick-make"}
    assert actions(burnish.run(recipe, workspace=workspace.root)) == {"make": "reuse", "join": "run"}


def test_nothing_is_begun_when_the_recipe_is_wrong(recipe, workspace):
    for wrong in (
        {"stage": "quick-make", "wrod": 1},
        {"stage": "quick-join", "source": "file:absent.txt"},
        {"stage": "quick-model", "base": "step:make"},
        {"stage": "quick-model", "base": "hub:owner/absent"},
    ):
        recipe["steps"]["join"] = wrong
        with pytest.raises((AskError, MachineError)):
            burnish.run(recipe, workspace=workspace.root)
        assert not workspace.runs.exists()


@pytest.fixture(autouse=True)
def _offline(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub-home"))


def test_a_watcher_hears_every_event_in_order(recipe, workspace):
    on_event = []

    class Listening(results.SilentWatcher):
        def on_run_start(self, plan, number, folder):
            on_event.append(("began", number))

        def on_step_start(self, step, run):
            on_event.append(("step", step.step.name))

        def on_event(self, step, event):
            on_event.append((step.step.name, event.kind))

        def on_step_end(self, step, run):
            on_event.append(("end", step.step.name, run.state))

    burnish.run(recipe, workspace=workspace.root, watcher=Listening())
    assert on_event == [
        ("began", 1),
        ("step", "make"),
        ("make", "state"),
        ("make", "note"),
        ("make", "state"),
        ("end", "make", "succeeded"),
        ("step", "join"),
        ("join", "state"),
        ("join", "state"),
        ("end", "join", "succeeded"),
    ]


def test_a_watcher_that_fails_lets_the_worker_save_and_leaves_none_behind(quick_stages, workspace):
    class Broken(results.SilentWatcher):
        def __init__(self, error):
            self.error = error

        def on_event(self, step, event):
            if event.kind == "progress":
                raise self.error

    recipe = {"name": "r", "steps": {"s": {"stage": "quick-slow", "release": "never"}}}
    closed = BrokenPipeError(errno.EPIPE, "the pipe is gone")
    for error, raised in ((ZeroDivisionError("a fault"), ZeroDivisionError), (closed, RunError)):
        with pytest.raises(raised) as caught:
            burnish.run(recipe, workspace=workspace.root, watcher=Broken(error))
        (run,) = workspace.all_runs()
        assert not run.is_alive()
        assert run.state == "interrupted"
        assert run.record["error"]["what"] == "stopped at step 1", "it was asked, not killed"
        assert not run.partial.exists()
    assert caught.value.code == "run.interrupted"
    assert caught.value.what.startswith("the output was closed: run r/2 was stopped in step 's', saved")


def test_ctrl_c_saves_and_a_second_one_ends_at_once(quick_stages, workspace, until, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, burnish\n"
        "from burnish.studio.executing.results import SilentWatcher\n"
        "class Told(SilentWatcher):\n"
        "    def on_stop(self, at_once): print('stopping', flush=True)\n"
        "try:\n"
        "    burnish.run_stage('quick-slow', release='never', numb=sys.argv[2] == 'numb', workspace=sys.argv[1],"
        " watcher=Told())\n"
        "except burnish.BurnishError as error:\n"
        "    print(error.code, flush=True)\n"
    )
    for mode, signals in (("hearing", 1), ("numb", 2)):
        root = workspace.root / mode
        process = subprocess.Popen([sys.executable, str(script), str(root), mode], stdout=subprocess.PIPE, text=True)
        log = root / "runs/quick-slow/1/quick-slow/events.jsonl"
        until(lambda log=log: log.exists() and '"work"' in log.read_text())
        for _ in range(signals):
            process.send_signal(signal.SIGINT)
            assert process.stdout.readline() == "stopping\n"
        out, _ = process.communicate(timeout=20)
        assert out == "run.interrupted\n"
        assert process.returncode == 0
        (run,) = burnish.runs(workspace=root)
        assert run["state"] == "interrupted"


def test_a_run_that_was_killed_is_resumed_by_the_same_command(quick_stages, workspace, in_background, until, tmp_path):
    recipe = {"name": "r", "steps": {"s": {"stage": "quick-slow", "release": str(tmp_path / "go")}}}
    thread, errors = in_background(recipe)
    until(lambda: any("pid" in run.record and any(run.scratch.glob("*/1")) for run in workspace.all_runs()))
    os.kill(workspace.all_runs()[0].record["pid"], signal.SIGKILL)
    thread.join()
    assert [error.code for error in errors] == ["run.killed"]
    (tmp_path / "go").touch()
    result = burnish.run(recipe, workspace=workspace.root)
    assert actions(result) == {"s": "resume"}
    assert result["s"].metrics == {"resumed": True}
    assert actions(burnish.run(recipe, workspace=workspace.root)) == {"s": "reuse"}


def test_a_resumed_step_takes_its_settings_and_inputs_as_they_are_given_now(
    quick_stages, workspace, in_background, until, tmp_path
):
    """Where a file lies and how many threads work are no part of a step's identity, and may change before a resume."""
    rows = workspace.root / "rows.txt"
    rows.write_text("one\n")
    step = {"stage": "quick-slow", "release": str(tmp_path / "go"), "source": "file:rows.txt"}
    thread, _ = in_background({"name": "r", "steps": {"s": step}})
    until(lambda: any(any(run.scratch.glob("*/1")) for run in workspace.all_runs()))
    burnish.stop(workspace=workspace.root)
    thread.join()
    rows.rename(workspace.root / "moved.txt")
    (tmp_path / "go").touch()
    again = {"name": "r", "steps": {"s": {**step, "source": "file:moved.txt", "threads": 2}}}
    result = burnish.run(again, workspace=workspace.root)
    assert actions(result) == {"s": "resume"}
    assert result["s"].metrics == {"resumed": True}
    assert (result["s"].artifact.spec["source"], result["s"].artifact.spec["threads"]) == ("file:moved.txt", 2)
    (shown,) = burnish.show("r", workspace=workspace.root)
    assert (shown["inputs"]["source"], shown["settings"]["threads"]) == ("file:moved.txt", 2)


def test_a_stopped_step_without_its_events_is_resumed_with_a_new_log(
    quick_stages, workspace, in_background, until, tmp_path
):
    recipe = {"name": "r", "steps": {"s": {"stage": "quick-slow", "release": str(tmp_path / "go")}}}
    thread, _ = in_background(recipe)
    until(lambda: any(any(run.scratch.glob("*/1")) for run in workspace.all_runs()))
    burnish.stop(workspace=workspace.root)
    thread.join()
    (tmp_path / "go").touch()
    (run,) = workspace.all_runs()
    run.events.path.unlink()
    assert actions(burnish.run(recipe, workspace=workspace.root)) == {"s": "resume"}
    assert "was missing" in next(run.events.read())[0].text


@pytest.mark.parametrize("removed", ["runs", "runs/r/1", "runs/r/1/s"])
def test_a_run_folder_that_is_removed_while_it_runs_is_told(
    quick_stages, workspace, in_background, until, tmp_path, removed
):
    recipe = {"name": "r", "steps": {"s": {"stage": "quick-slow", "release": str(tmp_path / "go")}}}
    thread, errors = in_background(recipe)
    # the worker writes nothing after that: a file that it writes while the folder is removed would keep the folder
    until(lambda: any(event.kind == "progress" for run in workspace.all_runs() for event, _ in run.events.read()))
    shutil.rmtree(workspace.root / removed)
    thread.join(30)
    (error,) = errors
    assert (error.exit_status, "was removed" in error.what) == (6, True)
    (tmp_path / "go").touch()
    assert burnish.run(recipe, workspace=workspace.root)["s"].metrics


def test_real_stages_say_what_is_missing(workspace):
    """A column, a model and a device that are not there: told with place and fix, and nothing is half made."""
    rows = workspace.root / "rows.jsonl"
    rows.write_text('{"a": 1}\n{"a": 2}\n')
    with pytest.raises(DataError) as caught:
        burnish.run_stage("prepare", source="file:rows.jsonl", workspace=workspace.root)
    assert "rows.jsonl" in caught.value.what
    assert caught.value.fix
    (run,) = workspace.all_runs()
    assert not run.out.exists()
    assert not run.partial.exists()


def test_a_missing_column_is_named(workspace):
    (workspace.root / "rows.jsonl").write_text('{"instruction": "a"}\n')
    with pytest.raises(DataError) as caught:
        burnish.run_stage("prepare", source="file:rows.jsonl", format="alpaca", workspace=workspace.root)
    assert caught.value.code in ("data.missing-column", "data.too-many-bad-rows", "data.empty", "data.unknown-format")
    assert "output" in f"{caught.value.what} {caught.value.fix}"


def test_no_gpu_for_cuda_is_told_before_anything_is_written(workspace, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    burnish.run_stage("synthesize", generator={"rows": 4}, workspace=workspace.root)
    with pytest.raises(MachineError) as caught:
        burnish.run_stage(
            "sft",
            base="builtin:pocket",
            data="synthesize.synthesize@latest",
            device="cuda",
            workspace=workspace.root,
        )
    assert caught.value.code == "machine.no-device"
    assert "device" in caught.value.fix
    run = workspace.find_runs("sft")[0]
    assert not run.out.exists()
    assert not run.partial.exists()
    assert "Traceback" in run.log.read_text()
