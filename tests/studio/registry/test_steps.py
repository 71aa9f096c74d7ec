"""`register: NAME` on a step of a recipe."""

import json

import pytest

import burnish


@pytest.fixture
def tuned(quick_stages, workspace):
    """A recipe whose step makes an adapter and registers it."""
    (workspace.root / "rows.txt").write_text("rows")
    step = {"stage": "quick-model", "register": "support", "base": "builtin:pocket", "data": "file:rows.txt"}
    return {"name": "r", "steps": {"tune": step}}


def refs(workspace):
    return [row["ref"] for row in burnish.registry.listing(workspace=workspace.root)]


def test_a_step_registers_what_it_makes_once(tuned, workspace):
    result = burnish.run(tuned, workspace=workspace.root)
    assert result["tune"].registered == "support@1"
    assert result.as_dict()["steps"]["tune"]["registered"] == "support@1"
    again = burnish.run(tuned, workspace=workspace.root)
    assert (again["tune"].action, again["tune"].registered) == ("reuse", "support@1")
    assert refs(workspace) == ["support@1"]
    (workspace.root / "rows.txt").write_text("other rows")
    assert burnish.run(tuned, workspace=workspace.root)["tune"].registered == "support@2"
    shown = burnish.registry.show("support@1", workspace=workspace.root)
    assert shown["made_by"] == {"recipe": "r", "number": 1, "step": "tune", "stage": "quick-model"}
    assert shown["base"]["ref"] == "builtin:pocket"
    assert [source["ref"] for source in shown["data"]] == ["file:rows.txt"]
    assert shown["artifact"]["path"] == "runs/r/1/tune/out"


def test_an_artifact_that_existed_is_registered_when_the_step_is_reused(tuned, workspace):
    name = tuned["steps"]["tune"].pop("register")
    assert burnish.run(tuned, workspace=workspace.root)["tune"].registered is None
    tuned["steps"]["tune"]["register"] = name
    result = burnish.run(tuned, workspace=workspace.root)
    assert (result["tune"].action, result["tune"].registered) == ("reuse", "support@1")
    notes = [event.text for _, event in burnish.tail("r/2", workspace=workspace.root) if event.kind == "note"]
    assert notes == ["registered as support@1"]


def test_a_resumed_run_registers_too(tuned, workspace):
    from burnish.core.recipes.recipe import recipe_of

    values = recipe_of(tuned).as_dict()
    assert values == tuned
    burnish.run(tuned, workspace=workspace.root)
    assert burnish.resume("r", workspace=workspace.root)["tune"].registered == "support@1"


@pytest.mark.parametrize("name", ["a.b", "../up", "", "übung", "with space", "x" * 65, ".hidden", "-dash", 3, ["a"]])
def test_a_name_that_the_registry_refuses_is_refused_at_load(tuned, workspace, name):
    tuned["steps"]["tune"]["register"] = name
    with pytest.raises(burnish.BurnishError) as caught:
        burnish.plan(tuned, workspace=workspace.root)
    assert caught.value.code == "ask.wrong-value"
    assert "register" in caught.value.what


def test_a_step_that_makes_a_dataset_has_nothing_to_register(quick_stages, workspace):
    recipe = {"name": "r", "steps": {"make": {"stage": "quick-make", "register": "words"}}}
    with pytest.raises(burnish.BurnishError, match="produces a dataset"):
        burnish.plan(recipe, workspace=workspace.root)


def test_a_name_of_the_other_kind_is_refused_before_the_step_runs(tuned, workspace):
    burnish.registry.register("builtin:pocket", name="support", workspace=workspace.root)
    with pytest.raises(burnish.BurnishError) as caught:
        burnish.run(tuned, workspace=workspace.root)
    assert caught.value.code == "ask.wrong-kind"
    assert not (workspace.root / "runs").exists()


def test_a_name_that_differs_in_case_only_is_refused(tuned, workspace):
    burnish.run(tuned, workspace=workspace.root)
    tuned["steps"]["tune"]["register"] = "Support"
    with pytest.raises(burnish.BurnishError, match="differ in case only"):
        burnish.plan(tuned, workspace=workspace.root)


def test_a_version_is_an_input_that_the_plan_pins(tuned, workspace):
    burnish.run(tuned, workspace=workspace.root)
    user = {"name": "u", "steps": {"next": {"stage": "quick-model", "base": "support@latest"}}}
    plan = burnish.plan(user, workspace=workspace.root)
    assert plan.steps[0].as_dict()["pinned"] == {"base": "support@1"}
    result = burnish.run(user, workspace=workspace.root)
    assert result["next"].metrics["base_kind"] == "adapter"
    by_run = {"name": "u", "steps": {"next": {"stage": "quick-model", "base": "r.tune@1"}}}
    assert burnish.run(by_run, workspace=workspace.root)["next"].action == "reuse"  # the same artifact
    (workspace.root / "runs/r/1/tune/out/adapter_config.json").write_text("[]")
    with pytest.raises(burnish.BurnishError) as caught:
        burnish.plan(user, workspace=workspace.root)
    assert caught.value.code == "run.damaged-artifact"
    assert "support@1" in caught.value.what


def test_a_stage_command_registers(quick_stages, workspace):
    result = burnish.run_stage("quick-model", base="builtin:pocket", register="solo", workspace=workspace.root)
    assert result.registered == "solo@1"


def test_the_schema_of_a_recipe_has_the_key(quick_stages):
    definitions = burnish.schema()["$defs"]
    assert "register" in definitions["step_sft"]["properties"]
    assert "register" not in definitions["step_prepare"]["properties"]
    json.dumps(definitions)
