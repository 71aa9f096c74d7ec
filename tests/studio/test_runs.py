"""Looking at runs: list, show, tail, diff, stop, resume."""

import threading

import pytest

import burnish
from burnish.core.errors import AskError, RunError
from burnish.studio.evaluations.items import answers
from burnish.studio.evaluations.pairs import difference
from burnish.studio.views.artifacts import artifact


@pytest.fixture
def made(recipe, workspace):
    return burnish.run(recipe, workspace=workspace.root)


def test_runs_are_listed_newest_first_with_their_measures(made, workspace):
    rows = burnish.runs(workspace=workspace.root)
    assert [(row["run"], row["state"], row["metrics"]) for row in rows] == [
        ("r/1/join", "succeeded", {"words": 1}),
        ("r/1/make", "succeeded", {"words": 1}),
    ]
    (workspace.root / "empty").mkdir()
    assert burnish.runs(workspace=workspace.root / "empty") == []
    with pytest.raises(burnish.BurnishError, match="none does not exist"):
        burnish.runs(workspace=workspace.root / "none")


def test_show_tells_settings_inputs_notes_and_path(made, workspace):
    make, join = burnish.show("r/1", workspace=workspace.root)
    assert make["settings"] == {"word": "hi"}
    assert make["notes"] == ["seed 0, threads 1"]
    assert join["inputs"] == {"source.0.ref": "step:make"}
    assert join["path"] == str(made["join"].path)
    assert make["provenance"]["note"] == "quick"


def test_a_certificate_is_in_the_artifact_and_shown(quick_stages, workspace):
    plain = burnish.run_stage("quick-make", workspace=workspace.root)
    assert plain.artifact.certificate is None
    with pytest.raises(RunError, match="does not hold for 'same' of hub:org/parent: kl"):
        burnish.run_stage("quick-make", certified=True, workspace=workspace.root)
    (shown,) = burnish.show(workspace=workspace.root)
    assert shown["certificate"] == quick_stages.CERTIFICATE


def test_show_tells_the_error_of_a_failed_run(quick_stages, workspace):
    with pytest.raises(RunError):
        burnish.run_stage("quick-fail", how="value", workspace=workspace.root)
    (shown,) = burnish.show(workspace=workspace.root)
    assert (shown["state"], shown["error"]["code"]) == ("failed", "run.failed")


def test_diff_tells_only_what_differs(made, recipe, workspace):
    recipe["steps"]["make"] |= {"times": 2}
    recipe["steps"]["join"]["voice"] = {"kind": "whisper"}
    recipe["steps"]["more"] = {"stage": "quick-make", "seed": 1}
    burnish.run(recipe, workspace=workspace.root)
    found = burnish.diff("r/1", "r/2", workspace=workspace.root)["steps"]
    assert found["make"] == {"settings": {"times": [1, 2]}, "inputs": {}, "metrics": {"words": [1, 2]}}
    assert found["join"]["settings"]["voice.kind"] == ["shout", "whisper"]
    assert list(found["join"]["inputs"]) == ["source.0.ref"]
    assert found["more"] == {"only_in": "r/2"}
    same = burnish.diff("r/1", "r/1", workspace=workspace.root)["steps"]
    assert all(not any(parts.values()) for parts in same.values())


def test_diff_with_an_unfinished_run_compares_what_was_asked_for(quick_stages, workspace):
    burnish.run_stage("quick-fail", how="print", workspace=workspace.root)
    with pytest.raises(RunError):
        burnish.run_stage("quick-fail", how="value", workspace=workspace.root)
    found = burnish.diff("quick-fail/1", "quick-fail/2", workspace=workspace.root)["steps"][""]
    assert found["settings"] == {"how": ["print", "value"]}


def test_tail_gives_every_event_once_and_follows_to_the_end_of_the_last_step(
    quick_stages, workspace, in_background, until, tmp_path
):
    recipe = {
        "name": "r",
        "steps": {
            "slow": {"stage": "quick-slow", "release": str(tmp_path / "go")},
            "after": {"stage": "quick-join", "source": "step:slow", "read": "nothing"},
        },
    }
    thread, errors = in_background(recipe)
    until(lambda: any(run.state == "running" for run in workspace.all_runs()))
    on_event = []
    listener = threading.Thread(
        target=lambda: on_event.extend(burnish.tail("r/1", follow=True, workspace=workspace.root)), daemon=True
    )
    listener.start()
    until(lambda: any(event.kind == "progress" for _, event in on_event))
    (tmp_path / "go").touch()
    thread.join()
    listener.join(10)
    assert not listener.is_alive()
    assert [error.code for error in errors] == ["run.unread-setting"]
    assert [event.state for name, event in on_event if name == "r/1/slow" and event.kind == "state"] == [
        "planned",
        "running",
        "succeeded",
    ]
    assert [event.code for name, event in on_event if name == "r/1/after" and event.kind == "failed"] == [
        "run.unread-setting"
    ]


def test_following_a_run_that_nobody_works_on_any_more_ends(made, workspace):
    from burnish.core.files import write_json

    run = made["join"].run
    write_json(run.folder / "run.json", {**run.record, "state": "planned"})
    assert len(list(burnish.tail("r", follow=True, workspace=workspace.root))) == 7


def test_stop_asks_the_worker_to_save_and_end(quick_stages, workspace, in_background, until):
    thread, errors = in_background({"name": "r", "steps": {"s": {"stage": "quick-slow", "release": "never"}}})
    until(lambda: any(any(run.scratch.glob("*/1")) for run in workspace.all_runs()))
    assert burnish.stop(workspace=workspace.root) == ["r/1"]
    thread.join()
    assert [error.code for error in errors] == ["run.interrupted"]
    with pytest.raises(AskError) as caught:
        burnish.stop(workspace=workspace.root)
    assert caught.value.code == "ask.nothing-to-do"


def test_what_is_in_progress_is_named_where_nothing_is_stopped(quick_stages, workspace, in_background, until):
    burnish.run_stage("quick-make", workspace=workspace.root)
    thread, _ = in_background({"name": "r", "steps": {"s": {"stage": "quick-slow", "release": "never"}}})
    until(lambda: any(any(run.scratch.glob("*/1")) for run in workspace.all_runs()))
    with pytest.raises(AskError) as caught:
        burnish.stop("quick-make/1", workspace=workspace.root)
    assert caught.value.fix == "in progress: r/1"
    burnish.stop("r/1", workspace=workspace.root)
    thread.join()


def test_resume_goes_on_with_the_run_that_was_named(quick_stages, workspace, in_background, until, tmp_path):
    recipe = {
        "name": "r",
        "steps": {
            "make": {"stage": "quick-make"},
            "slow": {"stage": "quick-slow", "release": str(tmp_path / "go")},
            "not_asked_for": {"stage": "quick-fail", "how": "value"},
        },
    }
    burnish.run(recipe, only=["make"], workspace=workspace.root)
    thread, _ = in_background(recipe, only=["make", "slow"])
    until(lambda: any(any(run.scratch.glob("*/1")) for run in workspace.all_runs()))
    burnish.stop("r/2/slow", workspace=workspace.root)
    thread.join()
    (tmp_path / "go").touch()
    result = burnish.resume("r", workspace=workspace.root)
    assert {name: step.action for name, step in result.steps.items()} == {"make": "reuse", "slow": "resume"}
    assert result["slow"].metrics == {"resumed": True}
    assert result.name == "r/3"


def test_names_that_mean_no_run_are_told_by_every_verb(made, workspace):
    for verb in (burnish.show, burnish.stop, burnish.resume, lambda name, **w: list(burnish.tail(name, **w))):
        with pytest.raises(AskError) as caught:
            verb("r/9", workspace=workspace.root)
        assert caught.value.code == "ask.no-such-run"


@pytest.mark.parametrize(
    "shown",
    [
        lambda root: artifact("r/1", workspace=root),
        lambda root: difference("r/1", "r/1", workspace=root),
        lambda root: answers("r/1", "r/1", workspace=root),
    ],
)
def test_a_run_of_several_steps_is_not_taken_for_one_of_them(made, workspace, shown):
    with pytest.raises(AskError) as caught:
        shown(workspace.root)
    assert (caught.value.code, caught.value.fix) == ("ask.no-such-run", "name one of them: r/1/make, r/1/join")
