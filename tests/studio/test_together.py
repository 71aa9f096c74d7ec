"""Processes that want the same step at the same time: one does it, the others wait for it and say so."""

import os
import signal
import time

import pytest

import burnish
from burnish.core.errors import RunError
from burnish.studio.executing import results


@pytest.fixture
def slow(tmp_path):
    return {
        "name": "r",
        "steps": {
            "tune": {"stage": "quick-slow", "release": str(tmp_path / "go")},
            "after": {"stage": "quick-join", "source": "step:tune", "read": "nothing"},
        },
    }


def works(workspace, number=1, times=1):
    path = workspace.runs / f"r/{number}/tune/events.jsonl"
    return lambda: path.exists() and path.read_text().count('"work"') == times


def said(process):
    out, err = process.communicate(timeout=60)
    return process.returncode, out + err


def waits(workspace, number):
    return lambda: (
        (workspace.runs / f"r/{number}/plan.json").exists()
        and '"action": "wait"' in (workspace.runs / f"r/{number}/plan.json").read_text()
    )


def test_the_second_of_two_waits_for_the_first_and_reuses_what_it_made(command, slow, workspace, until, tmp_path):
    first = command(slow, "--only", "tune")
    until(works(workspace))
    second = command(slow, "--only", "tune")
    until(waits(workspace, 2))
    (tmp_path / "go").touch()
    assert said(first)[0] == 0
    status, text = said(second)
    assert status == 0
    assert "tune waiting: another process runs the same step as r/1/tune" in text
    assert "runs tail r/1/tune --follow" in text
    assert "tune reused: made by r/1/tune" in text
    assert [run.name for run in workspace.all_runs()] == ["r/1/tune"]
    assert workspace.steps_of("r", 2)["tune"].name == "r/1/tune"
    assert workspace.plan_of("r", 2)["steps"][0]["action"] == "reuse"


def test_of_three_begun_at_once_one_works(command, slow, workspace, until, tmp_path):
    processes = [command(slow, "--only", "tune") for _ in range(3)]
    until(lambda: sum(waits(workspace, number)() for number in (1, 2, 3)) == 2)
    (tmp_path / "go").touch()
    assert [said(process)[0] for process in processes] == [0, 0, 0]
    assert len(workspace.all_runs()) == 1
    assert len({workspace.steps_of("r", number)["tune"].name for number in (1, 2, 3)}) == 1


def test_when_the_first_of_three_is_killed_another_takes_over(command, slow, workspace, until, tmp_path):
    first = command(slow, "--only", "tune")
    until(works(workspace))
    others = [command(slow, "--only", "tune") for _ in range(2)]
    until(lambda: waits(workspace, 2)() and waits(workspace, 3)())
    first.send_signal(signal.SIGKILL)
    until(works(workspace, times=2))
    (tmp_path / "go").touch()
    assert [said(process)[0] for process in others] == [0, 0]
    (run,) = workspace.all_runs()
    assert run.artifact().measures == {"resumed": True}
    assert run.record["attempts"] == 2


def test_when_the_first_fails_the_second_tries(quick_stages, workspace, in_background, until, tmp_path):
    recipe = {"name": "r", "steps": {"tune": {"stage": "quick-slow", "release": "never", "checkpoint": False}}}
    thread, errors = in_background(recipe)
    until(works(workspace))
    second, others = in_background(recipe)
    until(waits(workspace, 2))
    burnish.stop("r/1", workspace=workspace.root)
    until(works(workspace, 2))
    burnish.stop("r/2", workspace=workspace.root)
    thread.join()
    second.join()
    assert [error.code for error in (*errors, *others)] == ["run.interrupted"] * 2
    assert {run.name for run in workspace.all_runs()} == {"r/1/tune", "r/2/tune"}


def test_a_run_that_waits_can_be_looked_at_and_stopped_and_the_other_goes_on(
    quick_stages, slow, workspace, in_background, until, tmp_path
):
    first, errors = in_background(slow, only=["tune"])
    until(works(workspace))
    second, others = in_background(slow, only=["tune"])
    until(waits(workspace, 2))
    assert [step["run"] for step in burnish.show("r/2", workspace=workspace.root)] == ["r/1/tune"]
    assert burnish.stop("r/2", workspace=workspace.root) == ["r/2"]
    second.join(10)
    assert [error.what for error in others] == ["run r/2 was stopped before step 'tune'"]
    assert first.is_alive()
    (tmp_path / "go").touch()
    first.join()
    assert errors == []


def test_a_step_that_is_forced_waits_for_nobody(quick_stages, slow, workspace, in_background, until, tmp_path):
    first, errors = in_background(slow, only=["tune"])
    until(works(workspace))
    second, others = in_background(slow, only=["tune"], force=["tune"])
    until(works(workspace, 2))
    (tmp_path / "go").touch()
    first.join()
    second.join()
    assert errors == others == []
    assert {run.name for run in workspace.all_runs()} == {"r/1/tune", "r/2/tune"}


def test_a_worker_that_outlives_its_killed_parent_is_waited_for(
    command, slow, workspace, until, tmp_path, in_background
):
    slow["steps"]["tune"]["numb"] = True
    first = command(slow, "--only", "tune")
    until(works(workspace))
    first.kill()
    first.wait()
    on_event = []

    class Told(results.SilentWatcher):
        def on_wait(self, step, run):
            on_event.append(run.name)

    second, errors = in_background(slow, only=["tune"], watcher=Told())
    until(lambda: on_event == ["r/1/tune"])
    time.sleep(0.3)
    assert second.is_alive()
    (tmp_path / "go").touch()
    second.join()
    assert errors == []
    assert [run.name for run in workspace.all_runs()] == ["r/1/tune"]


def test_a_step_of_another_recipe_is_waited_for_too(quick_stages, slow, workspace, in_background, until, tmp_path):
    first, errors = in_background(slow, only=["tune"])
    until(works(workspace))
    second, others = in_background({**slow, "name": "other"}, only=["tune"])
    until(lambda: (workspace.runs / "other/1/plan.json").exists())
    (tmp_path / "go").touch()
    first.join()
    second.join()
    assert errors == others == []
    assert [run.name for run in workspace.all_runs()] == ["r/1/tune"]


def test_a_run_that_ends_in_an_error_lets_go_of_its_steps(recipe, workspace):
    recipe["steps"]["join"] = {"stage": "quick-fail", "how": "value"}
    for _ in range(2):
        with pytest.raises(RunError, match="no good"):
            burnish.run(recipe, workspace=workspace.root)
    assert os.listdir(workspace.root / ".burnish" / "locks")
