"""A plan as a whole: what it says of each step, and how it chooses among several earlier runs."""

import shutil
from dataclasses import replace

import pytest

from burnish.core import fingerprint
from burnish.core.context import Input
from burnish.core.errors import AskError, BurnishError
from burnish.core.files import write_json
from burnish.core.inputs.reuse import with_own_base
from burnish.core.plan import make_plan, replan_step, step_as_input
from burnish.core.recipes.recipe import load_recipe, recipe_of
from burnish.core.runs.workspace import Workspace
from burnish.core.version import VERSION

MAKE = {"stage": "quick-make"}
CHAIN = {
    "name": "r",
    "steps": {
        "make": MAKE,
        "alone": {"stage": "quick-make", "word": "alone"},
        "join": {"stage": "quick-join", "source": [{"ref": "file:a.txt"}, {"ref": "step:make"}]},
        "end": {"stage": "quick-join", "source": "step:join"},
    },
}


@pytest.fixture
def planned(quick_stages, workspace):
    (workspace.root / "a.txt").write_text("a")

    def planned(recipe=CHAIN, **options):
        made = make_plan(recipe_of(recipe), workspace, **options)
        return {step.step.name: step for step in made.steps}

    return planned


def said(call, *args, **named) -> str:
    with pytest.raises(BurnishError) as caught:
        call(*args, **named)
    return f"{caught.value.code} | {caught.value.what} | {caught.value.fix}"


def reasons(steps) -> dict[str, tuple[str, str]]:
    return {name: (step.action, step.reason) for name, step in steps.items()}


def test_a_plan_says_everything_of_each_step(planned, finished, workspace):
    steps = planned()
    run = finished("r", 1, "make", fingerprint=steps["make"].fingerprint, plan=False)
    made = make_plan(recipe_of(CHAIN), workspace)
    found = made.as_dict()
    assert 0 < found.pop("free_bytes") <= shutil.disk_usage(workspace.root).total
    common = {"action": "run", "reason": "new", "run": None, "last_seconds": None, "inputs": {}, "pinned": {}}
    listed = found.pop("steps")
    assert found == {
        "recipe": "r",
        "burnish": VERSION,
        "notes": [],
        "warnings": [],
        "values": recipe_of(CHAIN).as_dict(),
    }
    assert [step["step"] for step in listed] == ["make", "alone", "join", "end"]
    by_name = {step["step"]: step for step in listed}
    assert by_name["make"] == {
        **common,
        "step": "make",
        "stage": "quick-make",
        "action": "reuse",
        "reason": "made by r/1/make",
        "fingerprint": steps["make"].fingerprint,
        "run": "r/1/make",
    }
    assert by_name["join"] == {
        **common,
        "step": "join",
        "stage": "quick-join",
        "fingerprint": steps["join"].fingerprint,
        "inputs": {"source.0.ref": "file:a.txt", "source.1.ref": "step:make"},
    }
    assert made.steps[0].run.folder == run.folder


def test_a_revision_that_was_resolved_is_part_of_the_plan(planned, finished):
    finished("old", 1, "data", fingerprint="d")
    finished("old", 2, "data", fingerprint="e")
    steps = planned({"name": "q", "steps": {"end": {"stage": "quick-join", "source": "old.data@latest"}}})
    assert steps["end"].as_dict()["pinned"] == {"source": "old/2/data"}


def test_an_ambiguous_reference_is_noted_with_its_field(planned, finished, workspace):
    finished("old", 1, "data", fingerprint="d")
    finished("old", 2, "data", state="failed")
    recipe = {"name": "q", "steps": {"end": {"stage": "quick-join", "source": [{"ref": "old.data@latest"}]}}}
    assert make_plan(recipe_of(recipe), workspace).notes == (
        "end.source.0.ref: old.data@latest is from run old/1: old/2 has none (the step is failed)",
    )


def test_steps_are_forced_by_name_by_star_and_from_a_step_on(planned, finished):
    for name in CHAIN["steps"]:
        step = planned()[name]
        finished("r", 1, name, fingerprint=step.fingerprint, inputs=step.inputs, plan=False)
    reused = {name: ("reuse", f"made by r/1/{name}") for name in ("make", "alone", "join", "end")}
    forced, start, after = ("run", "forced"), ("run", "--from"), ("run", "depends on --from")
    end = ("reuse", "made by r/1/end if join gives the same files")
    for options, changed in (
        ({}, {}),
        ({"force": ["alone"]}, {"alone": forced}),
        ({"force": ["*"]}, dict.fromkeys(reused, forced)),
        ({"start": "join"}, {"join": start, "end": after}),
        ({"start": "make"}, {"make": start, "join": after, "end": after}),
        ({"start": "make", "force": ["join"]}, {"make": start, "join": forced, "end": end}),
        ({"start": "end"}, {"end": start}),
    ):
        steps = planned(**options)
        assert reasons(steps) == {**reused, **changed}, options
        again = {name for name, (action, _) in changed.items() if action == "run"}
        assert {name for name, step in steps.items() if step.is_forced} == again
        assert all(step.run is None for name, step in steps.items() if name in again)
        assert all((step.last_seconds is None) == (name not in again) for name, step in steps.items())


def test_only_keeps_what_is_needed_and_refuses_to_force_the_rest(planned):
    assert set(planned(only=["end"])) == {"make", "join", "end"}
    assert set(planned(only=["alone", "make"])) == {"make", "alone"}
    assert set(planned(only=["join"], force=["*"])) == {"make", "join"}
    fix = "add --only alone, or remove --force alone (or --from alone)"
    for options in ({"force": ["make", "alone"]}, {"start": "alone"}):
        assert said(planned, only=["join"], **options) == (
            f"ask.wrong-value | step 'alone' is forced but excluded by --only, which keeps join, make | {fix}"
        )
    for options in ({"start": "jon"}, {"force": ["*", "jon"]}, {"only": ["make", "jon"]}):
        assert said(planned, **options) == ("ask.bad-reference | the recipe has no step 'jon' | did you mean 'join'?")


def test_a_secret_in_any_setting_is_refused_at_its_line(quick_stages, workspace, tmp_path):
    token = "hf_" + "Q" * 34
    fix = "remove it: tokens are read from the environment, such as HF_TOKEN"
    what = "contains an access token, and is written to disk"
    for step, line, field in (
        (f"a: {{stage: quick-make, word: {token}}}", 3, "a.word"),
        (
            f"a:\n    stage: quick-join\n    source:\n      - ref: file:x\n      - ref: file:{token}",
            7,
            "a.source.1.ref",
        ),
        (f"a:\n    stage: prepare\n    source: file:x\n    columns:\n      {token}: text", 6, "a.columns"),
        (f"a:\n    stage: prepare\n    source: file:x\n    columns:\n      x: {token}", 7, "a.columns.x"),
    ):
        path = tmp_path / "r.yaml"
        path.write_text(f"name: r\nsteps:\n  {step}\n")
        assert said(make_plan, load_recipe([path]), workspace) == (
            f"ask.wrong-value | {path}:{line}: '{field}' {what} | {fix}"
        )
    login = "https://user:word@host/x"
    recipe = {"name": "r", "steps": {"a": {**MAKE, "word": login}}}
    assert make_plan(recipe_of(recipe), workspace).steps[0].step.spec.word == login
    recipe = {"name": "r", "steps": {"a": {"stage": "quick-join", "source": f"git:{login}"}}}
    assert "'a.source' contains a user name or password in an address" in said(make_plan, recipe_of(recipe), workspace)


def test_hashes_are_written_once_and_used_again(planned, workspace, monkeypatch):
    monkeypatch.setattr(fingerprint, "_SETTLED_NS", -1)
    first = planned()
    assert list(workspace.hashes()) == [str(workspace.root / "a.txt")]
    written = workspace.hash_file.stat().st_ino
    assert planned() == first
    assert workspace.hash_file.stat().st_ino == written
    [stamp, _] = workspace.hashes()[str(workspace.root / "a.txt")]
    workspace.remember_hashes({str(workspace.root / "a.txt"): [stamp, "0" * 64]})
    assert planned()["join"].fingerprint != first["join"].fingerprint


def test_a_workspace_that_does_not_exist_yet_can_be_planned(quick_stages, tmp_path):
    plan = make_plan(recipe_of({"name": "r", "steps": {"make": MAKE}}), Workspace(tmp_path / "new" / "deep"))
    assert plan.free_bytes > 0
    assert not (tmp_path / "new").exists()


def test_of_several_runs_the_newest_intact_one_is_reused_and_damage_is_said(planned, finished, workspace):
    step = planned()["make"]
    runs = [finished("r", number, "make", fingerprint=step.fingerprint, plan=False) for number in (1, 2, 3, 4)]
    assert planned()["make"].run.name == "r/4/make"
    (runs[3].out / "words.txt").unlink()
    (runs[2].folder / "artifact.json").write_text("")
    plan = make_plan(recipe_of(CHAIN), workspace)
    damage = (
        f"the artifact r/4/make ({runs[3].out}) is damaged: words.txt is missing",
        f"{runs[2].folder}/artifact.json is empty",
    )
    assert reasons({"make": plan.steps[0]})["make"] == ("reuse", "; ".join(["made by r/2/make", *damage]))
    assert plan.warnings == tuple(f"make is not reused: {problem}" for problem in damage)
    for run in runs[:2]:
        shutil.rmtree(run.folder)
    assert reasons(planned())["make"] == ("run", "; ".join(damage))
    record = runs[3].record_of("artifact.json")
    del record["files"]
    write_json(runs[3].folder / "artifact.json", record)
    assert reasons(planned())["make"] == (
        "reuse",
        "made by r/4/make, by an older version: its files cannot be checked",
    )


def test_an_unfinished_run_is_resumed_if_it_has_a_checkpoint_or_is_in_progress(planned, finished):
    step = planned()["make"]
    first, second = (
        finished("r", number, "make", fingerprint=step.fingerprint, state="failed", plan=False) for number in (1, 2)
    )
    assert reasons(planned())["make"] == ("run", "r/2/make failed")
    (first.scratch / "checkpoints" / "5").mkdir(parents=True)
    assert reasons(planned())["make"] == ("resume", "r/1/make was failed")
    running = finished("r", 3, "make", fingerprint=step.fingerprint, state="running", plan=False)
    assert reasons(planned())["make"] == ("resume", "r/1/make was failed")
    with running.lock():
        found = planned()["make"]
        assert (found.action, found.reason, found.run.name) == ("resume", "r/3/make is in progress", "r/3/make")
        assert found.is_in_progress
        assert not replace(found, action="reuse").is_in_progress
    assert not found.is_in_progress
    assert not planned(force=["make"])["make"].is_in_progress
    damaged = finished("r", 4, "make", fingerprint=step.fingerprint, plan=False)
    (damaged.out / "words.txt").unlink()
    problem = f"the artifact r/4/make ({damaged.out}) is damaged: words.txt is missing"
    assert reasons(planned())["make"] == ("resume", f"r/1/make was failed; {problem}")
    assert second.state == "failed"


def test_resume_never_keeps_the_reason_of_damage(planned, finished):
    recipe = {"name": "r", "steps": {"s": {"stage": "quick-slow", "release": "x", "resume": "never"}}}
    run = finished("r", 1, "s", fingerprint=planned(recipe)["s"].fingerprint, plan=False)
    (run.out / "words.txt").unlink()
    problem = f"the artifact r/1/s ({run.out}) is damaged: words.txt is missing"
    assert reasons(planned(recipe))["s"] == ("run", f"resume is never; {problem}")


def test_a_step_is_planned_again_with_what_other_processes_did(planned, finished, workspace):
    steps = planned()
    assert replan_step(steps["make"], workspace) == steps["make"]
    run = finished("other", 1, "x", fingerprint=steps["make"].fingerprint, plan=False)
    again = replan_step(steps["make"], workspace)
    assert again == replace(steps["make"], action="reuse", reason="made by other/1/x", run=again.run)
    assert again.run.folder == run.folder
    forced = planned(force=["make"])["make"]
    assert replan_step(forced, workspace) is forced


def test_the_output_of_a_step_is_its_artifact_or_a_place_for_it(planned, finished):
    steps = planned()
    new = steps["join"]
    assert step_as_input(new) == Input(
        "step:join", "dataset", step_as_input(steps["end"]).path, new.fingerprint, new.inputs
    )
    assert str(step_as_input(new).path) == "not-made-yet"
    run = finished("r", 1, "make", fingerprint=steps["make"].fingerprint, plan=False, state="failed")
    unfinished = replace(steps["make"], action="resume", run=run)
    assert step_as_input(unfinished) == Input("step:make", "dataset", run.out, steps["make"].fingerprint, {})
    done = finished("r", 2, "make", fingerprint=steps["make"].fingerprint, plan=False)
    assert step_as_input(replace(unfinished, run=done)) == done.artifact().as_input("step:make")


def test_an_adapter_gets_the_base_that_the_recipe_names(tmp_path):
    old, new = (Input(f"file:{name}", "model", tmp_path / name, "b") for name in ("old", "new"))
    data = Input("file:data", "folder", tmp_path, "d")
    adapter = Input("r.tune@1", "adapter", tmp_path, "t", {"base": old, "data": data})
    assert with_own_base(adapter, {"base": new}) == replace(adapter, inputs={"base": new, "data": data})
    pending = replace(new, ref="step:base")
    for unchanged, inputs in (
        (adapter, {}),
        (adapter, {"bases": new}),
        (adapter, {"base": pending}),
        (replace(adapter, kind="model"), {"base": new}),
    ):
        assert with_own_base(unchanged, inputs) is unchanged
    pending.path.mkdir()
    assert with_own_base(adapter, {"base": pending}).inputs["base"] == pending


def test_a_broken_record_is_passed_over_with_a_warning_and_the_last_duration_is_of_the_newest_success(
    planned, finished, workspace
):
    step = planned()["make"]
    for number, (ended, state) in enumerate([(70, "succeeded"), (30, "succeeded"), (5, "failed")], start=1):
        run = finished("r", number, "make", fingerprint=f"other{number}", state=state, plan=False)
        write_json(run.folder / "run.json", {**run.record, "started": 10.0, "ended": 10.0 + ended})
    run = finished("q", 1, "make", fingerprint="q", plan=False)
    write_json(run.folder / "run.json", {**run.record, "started": 10.0, "ended": 11.0})
    (workspace.run("r", 3, "make").folder / "run.json").write_text("{")
    plan = make_plan(recipe_of(CHAIN), workspace)
    assert plan.steps[0].last_seconds == 30
    assert len(plan.warnings) == 1
    assert plan.warnings[0].startswith(
        f"run r/3/make is not reused: {workspace.runs}/r/3/make/run.json is not valid JSON"
    )
    assert plan.steps[0].fingerprint == step.fingerprint


def test_a_reference_that_cannot_be_used_is_refused_with_its_field(planned, finished, workspace):
    run = finished("r", 1, "data", fingerprint="d")
    (run.out / "words.txt").unlink()
    for ref in ("r.data@1", "file:runs/r/1/data/out"):
        recipe = {"name": "q", "steps": {"end": {"stage": "quick-join", "source": [{"ref": ref}]}}}
        assert said(planned, recipe) == (
            f"run.damaged-artifact | 'end.source.0.ref': the artifact {ref} ({run.out}) is damaged: "
            "words.txt is missing | burnish runs resume r/1 repeats the damaged steps, as a new run of the recipe"
        )
    recipe = {"name": "q", "steps": {"s": {"stage": "quick-model", "base": "file:a.txt"}}}
    with pytest.raises(AskError, match=r"^'s\.base' expects model or adapter, but file:a\.txt is a file\n"):
        planned(recipe)
