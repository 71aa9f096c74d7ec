"""From files, names, mappings and flags to a recipe and its plan."""

import pytest

import burnish
from burnish.core.errors import AskError
from burnish.studio.planning import as_recipe, init_workspace, shipped_recipes, stage_recipe


def test_shipped_recipes_are_found_by_name_and_by_path():
    assert "demo" in shipped_recipes()
    assert as_recipe("demo").name == as_recipe("recipes/demo.yaml").name == "demo"


def test_a_file_that_is_there_goes_before_a_shipped_name(tmp_path, monkeypatch, quick_stages):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").write_text("name: mine\nsteps: {a: {stage: quick-make}}\n")
    assert as_recipe("demo").name == "mine"


def test_a_copy_of_a_shipped_recipe_goes_before_it_but_is_not_copied_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    init_workspace(tmp_path, "demo")
    copy = tmp_path / "demo.yaml"
    copy.write_text(copy.read_text().replace("name: demo", "name: mine"))
    assert as_recipe("demo").name == "mine"
    assert init_workspace(tmp_path / "other", "demo")[-1].read_text() == shipped_recipes()["demo"].read_text()


def test_an_unknown_name_offers_the_nearest_recipe():
    with pytest.raises(AskError) as caught:
        as_recipe("dmo")
    assert caught.value.fix == "did you mean 'demo'?"
    with pytest.raises(AskError) as caught:
        as_recipe("zzz")
    assert all(name in caught.value.fix for name in shipped_recipes())
    with pytest.raises(AskError) as caught:
        as_recipe("absent.yaml")
    assert "absent.yaml" in caught.value.what


def test_settings_change_a_mapping_as_they_change_a_file(recipe):
    made = as_recipe(recipe, ["make.times=3"])
    assert made.step("make").spec.times == 3
    assert recipe["steps"]["make"] == {"stage": "quick-make", "word": "hi"}, "what was given is left as it was"
    assert as_recipe(made, ["make.times=4"]).step("make").spec.times == 4


def test_a_stage_alone_takes_files_then_settings_then_values(quick_stages, tmp_path):
    (tmp_path / "a.yaml").write_text("word: file\ntimes: 2\nseed: 1\n")
    (tmp_path / "b.yaml").write_text("stage: quick-make\ntimes: 3\nseed: 1\n")
    made = stage_recipe("quick-make", [tmp_path / "a.yaml", tmp_path / "b.yaml"], ["seed=5", "times=4"], {"seed": 6})
    expected = {"word": "file", "times": 4, "seed": 6, "threads": 1, "certified": False, "machine": ""}
    assert made.steps[0].spec.model_dump() == expected


def test_a_fault_in_a_file_of_a_stage_is_told_by_line(quick_stages, tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("# words\nword: file\nwrod: 2\n")
    with pytest.raises(AskError) as caught:
        stage_recipe("quick-make", [path])
    assert caught.value.what == f"{path}:3: unknown key 'wrod'"
    with pytest.raises(AskError) as caught:
        stage_recipe("quick-make", [], ["wrod=2"])
    assert caught.value.what == "--set wrod: unknown key 'wrod'"
    path.write_text("stage: sft\n")
    with pytest.raises(AskError, match="the file is for stage sft"):
        stage_recipe("quick-make", [path])
    path.write_text("- a\n")
    with pytest.raises(AskError, match="expected a mapping"):
        stage_recipe("quick-make", [path])


def test_a_plan_says_what_would_be_done_without_doing_it(recipe, workspace):
    plan = burnish.plan(recipe, workspace=workspace.root)
    assert [(step.step.name, step.action) for step in plan.steps] == [("make", "run"), ("join", "run")]
    assert plan.free_bytes > 0
    assert not workspace.runs.exists()


def test_beginning_copies_a_recipe_and_overwrites_nothing(tmp_path):
    folder = tmp_path / "new" / "place"
    assert [path.name for path in init_workspace(folder, "first-adapter")] == ["burnish.yaml", "first-adapter.yaml"]
    (folder / "first-adapter.yaml").write_text("mine")
    with pytest.raises(AskError, match="exists"):
        init_workspace(folder, "first-adapter")
    assert (folder / "first-adapter.yaml").read_text() == "mine"
    other = tmp_path / "other"
    other.mkdir()
    (other / "demo.yaml").write_text("mine")
    with pytest.raises(AskError):
        init_workspace(other, "demo")
    assert not (other / "burnish.yaml").exists(), "nothing half made"
