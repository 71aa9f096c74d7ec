"""The plan of a run: which steps run, which are reused, which are resumed, and why."""

import pytest

from burnish.core import fingerprint
from burnish.core.errors import AskError, RunError
from burnish.core.files import write_json
from burnish.core.plan import make_plan, step_as_input
from burnish.core.recipes.recipe import load_recipe, recipe_of

RECIPE = {
    "name": "r",
    "steps": {
        "make": {"stage": "quick-make"},
        "other": {"stage": "quick-make", "word": "other"},
        "join": {"stage": "quick-join", "source": [{"ref": "step:make"}, {"ref": "step:other"}]},
        "end": {"stage": "quick-join", "source": "step:join"},
    },
}


@pytest.fixture
def planned(quick_stages, workspace):
    def planned(recipe=RECIPE, **options):
        made = make_plan(recipe_of(recipe), workspace, **options)
        return {step.step.name: step for step in made.steps}

    return planned


@pytest.fixture
def all_made(planned, finished):
    """A workspace in which every step of the recipe was made once."""
    for name in RECIPE["steps"]:
        step = planned()[name]
        finished("r", 1, name, fingerprint=step.fingerprint, inputs=step.inputs, plan=False)


def actions(steps):
    return {name: step.action for name, step in steps.items()}


def test_all_of_a_new_recipe_is_run(planned):
    steps = planned()
    assert set(actions(steps).values()) == {"run"}
    assert {step.reason for step in steps.values()} == {"new"}


def test_all_of_a_finished_recipe_is_reused(planned, all_made):
    steps = planned()
    assert set(actions(steps).values()) == {"reuse"}
    assert steps["join"].reason == "made by r/1/join"


def test_a_changed_step_and_its_dependents_are_run(planned, all_made):
    changed = {**RECIPE, "steps": {**RECIPE["steps"], "make": {"stage": "quick-make", "word": "new"}}}
    assert actions(planned(changed)) == {"make": "run", "other": "reuse", "join": "run", "end": "run"}


def test_a_runtime_setting_changes_nothing(planned, all_made):
    changed = {**RECIPE, "steps": {**RECIPE["steps"], "make": {"stage": "quick-make", "threads": 7}}}
    assert set(actions(planned(changed)).values()) == {"reuse"}


def test_from_runs_a_step_and_its_dependents(planned, all_made):
    assert actions(planned(start="join")) == {"make": "reuse", "other": "reuse", "join": "run", "end": "run"}
    assert actions(planned(start="make")) == {"make": "run", "other": "reuse", "join": "run", "end": "run"}


def test_force_runs_the_named_steps_or_all(planned, all_made):
    assert actions(planned(force=["join"]))["join"] == "run"
    assert actions(planned(force=["join"]))["end"] == "reuse"
    assert set(actions(planned(force=["*"])).values()) == {"run"}


def test_only_keeps_the_named_steps_and_what_they_need(planned):
    assert list(planned(only=["join"])) == ["make", "other", "join"]
    assert list(planned(only=["make"])) == ["make"]


@pytest.mark.parametrize("option", [{"start": "jon"}, {"force": ["jon"]}, {"only": ["jon"]}])
def test_an_unknown_step_suggests_the_nearest(planned, option):
    with pytest.raises(AskError, match="no step 'jon'") as caught:
        planned(**option)
    assert caught.value.fix == "did you mean 'join'?"


def test_another_recipes_step_of_the_same_settings_is_reused(planned, all_made):
    assert planned({**RECIPE, "name": "another"})["make"].reason == "made by r/1/make"


def test_an_artifact_whose_output_is_missing_is_made_again(planned, all_made, workspace):
    (workspace.run("r", 1, "make").out / "words.txt").unlink()
    workspace.run("r", 1, "make").out.rmdir()
    assert actions(planned())["make"] == "run"


@pytest.mark.parametrize("state", ["failed", "interrupted", "killed"])
def test_a_step_with_a_checkpoint_is_resumed(planned, finished, state):
    run = finished("r", 1, "make", fingerprint=planned()["make"].fingerprint, state=state, plan=False)
    assert planned()["make"].action == "run"
    (run.scratch / "checkpoints" / "5").mkdir(parents=True)
    step = planned()["make"]
    assert (step.action, step.run.name) == ("resume", "r/1/make")
    assert state in step.reason


def test_a_step_in_progress_is_not_started_twice(planned, finished):
    run = finished("r", 1, "make", fingerprint=planned()["make"].fingerprint, state="running", plan=False)
    with run.lock():
        step = planned()["make"]
    assert (step.action, step.reason) == ("resume", "r/1/make is in progress")


def test_resume_never_starts_from_scratch(planned, finished):
    recipe = {"name": "r", "steps": {"s": {"stage": "quick-slow", "release": "x", "resume": "never"}}}
    run = finished("r", 1, "s", fingerprint=planned(recipe)["s"].fingerprint, state="failed", plan=False)
    (run.scratch / "checkpoints" / "5").mkdir(parents=True)
    assert planned(recipe)["s"].reason == "resume is never"


def test_the_kind_of_a_step_not_yet_made_is_checked(planned):
    recipe = {
        "name": "r",
        "steps": {"make": {"stage": "quick-make"}, "tune": {"stage": "quick-model", "base": "step:make"}},
    }
    with pytest.raises(AskError) as caught:
        planned(recipe)
    assert caught.value.code == "ask.wrong-kind"
    assert "'tune.base'" in caught.value.what


def test_the_last_duration_of_a_step_is_reported(planned, all_made, finished, workspace):
    assert planned(force=["make"])["make"].last_seconds >= 0
    for number, (state, seconds) in enumerate([("succeeded", 70), ("succeeded", 30), ("failed", 5)], start=2):
        run = finished("r", number, "make", fingerprint=f"other{number}", state=state, plan=False)
        write_json(run.folder / "run.json", {**run.record_of("run.json"), "started": 1000.0, "ended": 1000.0 + seconds})
    finished("another", 1, "make", fingerprint="another", plan=False)
    assert planned(force=["make"])["make"].last_seconds == 30, "the newest success of this recipe"
    assert planned()["make"].last_seconds is None


def test_a_plan_is_plain_json(planned, workspace):
    import json

    found = json.loads(json.dumps(make_plan(recipe_of(RECIPE), workspace).as_dict()))
    assert [step["step"] for step in found["steps"]] == ["make", "other", "join", "end"]
    assert recipe_of(found["values"]) == recipe_of(RECIPE)


def test_planning_writes_nothing_but_the_cache_of_hashes(planned, workspace, monkeypatch):
    monkeypatch.setattr(fingerprint, "_SETTLED_NS", -1)
    (workspace.root / "rows.txt").write_text("a\n")
    planned({"name": "r", "steps": {"join": {"stage": "quick-join", "source": "file:rows.txt"}}})
    assert sorted(path.name for path in workspace.root.iterdir()) == [".burnish", "rows.txt"]


def test_a_missing_input_is_reported_with_its_line(tmp_path, workspace):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("name: r\nsteps:\n  data:\n    stage: prepare\n    source:\n      - ref: file:none.jsonl\n")
    with pytest.raises(AskError) as caught:
        make_plan(load_recipe([recipe]), workspace)
    assert f"{recipe}:6: 'data.source.0.ref': " in caught.value.what


def test_a_damaged_artifact_is_not_reused_and_the_reason_names_it(planned, all_made, workspace):
    (workspace.run("r", 1, "make").out / "words.txt").write_text("other words")
    steps = planned()
    assert actions(steps) == {"make": "run", "other": "reuse", "join": "reuse", "end": "reuse"}
    assert "r/1/make" in steps["make"].reason
    assert "words.txt has 11 bytes instead of 2" in steps["make"].reason


def test_an_intact_artifact_of_the_same_fingerprint_replaces_a_damaged_one(planned, all_made, workspace, finished):
    finished("r", 2, "make", fingerprint=planned()["make"].fingerprint, plan=False)
    (workspace.run("r", 2, "make").out / "words.txt").unlink()
    step = planned()["make"]
    assert (step.action, step.run.name) == ("reuse", "r/1/make")
    assert "words.txt is missing" in step.reason


def test_an_adapter_whose_base_is_damaged_is_trained_again(planned, finished, workspace):
    steps = {"below": {"stage": "quick-model", "base": "builtin:pocket"}, "tune": {"stage": "quick-model"}}
    steps["tune"]["base"] = "step:below"
    recipe = {"name": "q", "steps": steps}
    step = planned(recipe)["below"]
    below = finished("q", 1, "below", kind="adapter", fingerprint=step.fingerprint, inputs=step.inputs)
    tune = planned(recipe)["tune"]
    finished("q", 1, "tune", kind="adapter", fingerprint=tune.fingerprint, inputs=tune.inputs)
    assert set(actions(planned(recipe)).values()) == {"reuse"}
    (below.out / "words.txt").write_text("changed")
    steps = planned(recipe)
    assert set(actions(steps).values()) == {"run"}
    assert "q/1/below" in steps["tune"].reason


def test_a_damaged_artifact_of_another_recipe_is_refused_with_its_repair(planned, finished):
    run = finished("r", 1, "data")
    (run.out / "words.txt").write_text("changed")
    with pytest.raises(RunError, match=r"'end\.source': the artifact r\.data@1 .* is damaged: words\.txt") as caught:
        planned({"name": "q", "steps": {"end": {"stage": "quick-join", "source": "r.data@1"}}})
    assert "burnish runs resume r/1" in caught.value.fix


def test_an_adapter_stays_reusable_when_its_base_is_moved(planned, finished, workspace):
    base = workspace.root / "base"
    base.mkdir()
    (base / "config.json").write_text("{}")
    recipe = {"name": "q", "steps": {"tune": {"stage": "quick-model", "base": "file:base"}}}
    found = planned(recipe)["tune"]
    finished("q", 1, "tune", kind="adapter", fingerprint=found.fingerprint, inputs=found.inputs)
    base.rename(workspace.root / "moved")
    step = planned({"name": "q", "steps": {"tune": {"stage": "quick-model", "base": "file:moved"}}})["tune"]
    assert step.action == "reuse"
    assert step_as_input(step).inputs["base"].path == workspace.root / "moved"


def test_a_run_with_a_broken_record_is_reported_and_not_reused(planned, all_made, workspace):
    (workspace.run("r", 1, "make").folder / "run.json").write_text('{"state": "succ')
    (workspace.run("r", 1, "other").folder / "artifact.json").write_text("")
    made = make_plan(recipe_of(RECIPE), workspace)
    steps = {step.step.name: step for step in made.steps}
    assert actions(steps) == {"make": "run", "other": "run", "join": "reuse", "end": "reuse"}
    assert "artifact.json is empty" in steps["other"].reason
    assert len(made.warnings) == 2  # one for each damaged file
    assert "run.json is not valid JSON" in made.warnings[0]
    assert "artifact.json is empty" in made.warnings[1]


def test_an_artifact_of_an_older_version_is_reused_and_reported_as_unchecked(planned, all_made, workspace):
    run = workspace.run("r", 1, "make")
    record = run.record_of("artifact.json")
    del record["files"]
    write_json(run.folder / "artifact.json", record)
    step = planned()["make"]
    assert step.action == "reuse"
    assert "cannot be checked" in step.reason


def test_a_folder_that_contains_the_runs_is_refused_as_input(planned, workspace):
    (workspace.root / "rows.txt").write_text("a\n")
    with pytest.raises(AskError, match="the workspace's runs") as caught:
        planned({"name": "r", "steps": {"join": {"stage": "quick-join", "source": "file:."}}})
    assert caught.value.code == "ask.bad-reference"


@pytest.mark.parametrize("path", ["/", "elsewhere", "elsewhere/runs"])
def test_the_runs_are_found_behind_a_link_and_before_a_file_is_read(planned, workspace, path):
    (workspace.root / "elsewhere/runs").mkdir(parents=True)
    (workspace.root / "runs").symlink_to("elsewhere/runs")
    with pytest.raises(AskError, match="the workspace's runs"):
        planned({"name": "r", "steps": {"join": {"stage": "quick-join", "source": f"file:{path}"}}})


@pytest.fixture
def stopped(planned, finished):
    """Start a run of a recipe's step, save a checkpoint, and stop it: `stopped(recipe, "tune")`."""

    def stopped(recipe, name, number=1, state="interrupted"):
        step = planned(recipe)[name]
        spec = step.step.spec.model_dump(mode="json", exclude_unset=True)
        run = finished(
            recipe["name"], number, name, stage=step.step.stage.name, fingerprint=step.fingerprint, state=state,
            inputs=step.inputs, spec=spec, plan=False,
        )  # fmt: skip
        (run.scratch / "checkpoints" / "5").mkdir(parents=True)
        assert planned(recipe)[name].action == "resume"
        return run

    return stopped


def one(stage="quick-make", **settings):
    return {"name": "r", "steps": {"s": {"stage": stage, **settings}}}


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        (one(word="a"), one(word="b"), 'word was "a" and is "b"'),
        (one(), one(times=2), "times was 1 and is 2"),
        (one(times=2, word="a"), one(seed=1), 'word was "a" and is "hello", times was 2 and is 1, seed was 0 and is 1'),
        (one("quick-make", word="x"), one("quick-talk", release="x"), "its stage was quick-make and is quick-talk"),
        (
            one("quick-join", source="file:a.txt"),
            one("quick-join", source="file:b.txt"),
            "source was file:a.txt and is file:b.txt",
        ),
        (
            one("quick-join", source=[{"ref": "file:a.txt"}]),
            one("quick-join", source=[{"ref": "file:b.txt"}]),
            "source.0.ref was file:a.txt and is file:b.txt",
        ),
        (
            one("quick-join", source="file:a.txt"),
            one("quick-join", source="file:a.txt", voice={"kind": "whisper"}),
            'voice.kind was "shout" and is "whisper", voice.marks was 1 and is not set, '
            "voice.softness was not set and is 0.5",
        ),
    ],
)
def test_an_unfinished_run_that_is_left_behind_is_named_with_what_changed(
    planned, stopped, workspace, before, after, changed
):
    for name in "ab":
        (workspace.root / f"{name}.txt").write_text(name)
    stopped(before, "s")
    step = planned(after)["s"]
    assert (step.action, step.run) == ("run", None)
    assert step.reason == f"new: r/1/s (interrupted) is not resumed, since {changed}"
    assert any(step.reason.endswith(note.removeprefix("s: ")) for note in make_plan(recipe_of(after), workspace).notes)


def test_the_edited_file_of_an_input_is_named(planned, stopped, workspace):
    base = workspace.root / "base"
    base.mkdir()
    for name in ("config.json", "README.md", "tokenizer.json"):
        (base / name).write_text('{"model_type": "x"}')
    recipe = one("quick-model", base="file:base")
    run = stopped(recipe, "s", state="failed")
    (base / "README.md").write_text("# Edited")
    assert planned(recipe)["s"].action == "resume"
    while (base / "tokenizer.json").stat().st_ctime <= run.record["created"]:
        (base / "tokenizer.json").write_text('{"a": 1}')
    reason = planned(recipe)["s"].reason
    assert reason == "new: r/1/s (failed) is not resumed, since base (file:base): tokenizer.json changed"


def test_an_unfinished_run_older_than_a_finished_one_is_not_named(planned, stopped, finished):
    stopped(one(word="a"), "s")
    finished("r", 2, "s", fingerprint=planned(one(word="b"))["s"].fingerprint, plan=False)
    assert planned(one(word="c"))["s"].reason == "new"
    stopped(one(word="d"), "s", number=3)
    assert planned(one(word="c"))["s"].reason.startswith("new: r/3/s (interrupted)")
    assert planned({**one(word="c"), "name": "other"})["s"].reason == "new"


def test_a_left_behind_run_of_another_version_of_a_stage_says_so(planned, stopped, workspace):
    run = stopped(one(word="a"), "s")
    write_json(run.folder / "run.json", {**run.record_of("run.json"), "fingerprint": "of version 0"})
    assert planned(one(word="a"))["s"].reason.endswith("since the version of the stage quick-make changed")
    write_json(run.folder / "job.json", {**run.record_of("job.json"), "spec": {"gone": 1}})
    assert planned(one(word="a"))["s"].reason.endswith(
        "since the settings of its stage changed with the version of burnish"
    )
