"""`burnish gc`: what nothing refers to, and what must stay."""

import os
import subprocess
import sys

import pytest
from filelock import FileLock

import artifacts
import burnish


def made(workspace, number, *, recipe="r", **options):
    return artifacts.write_artifact(workspace, number=number, recipe=recipe, fingerprint=f"{recipe}{number}", **options)


def names(found):
    return {one["run"] for one in found["garbage"]}


def test_old_runs_that_nothing_uses_are_garbage(registry, workspace):
    for number in (1, 2, 3):
        made(workspace, number)
    found = registry.gc()
    assert names(found) == {"r/1/tune", "r/2/tune"}
    assert found["bytes"] == sum(one["bytes"] for one in found["garbage"]) > 500
    assert found["removed"] == []
    assert (workspace.runs / "r/1/tune/out").is_dir()
    found = registry.gc(delete=True)
    assert set(found["removed"]) == {"r/1/tune", "r/2/tune"}
    assert sorted(os.listdir(workspace.runs / "r")) == ["3"]
    assert registry.gc()["garbage"] == []
    assert workspace.claim_number("r") == 4
    assert [row["run"] for row in burnish.runs()] == ["r/3/tune"]


def test_the_registry_its_evidence_and_what_they_were_made_from_stay(registry, workspace):
    data = made(workspace, 1, recipe="d", kind="dataset", step="data")
    inputs = {"data": data.artifact().as_input("d.data@1")}
    made(workspace, 1, inputs=inputs)
    artifacts.evaluation(workspace, number=1, of="r1")
    artifacts.evaluation(workspace, number=2, of="somebody")
    for number in (2, 3):
        made(workspace, number)
        made(workspace, number, recipe="d", kind="dataset", step="data")
    registry.register("r.tune@1", name="support")
    assert names(registry.gc()) == {"r/2/tune", "d/2/data"}
    registry.remove("support@1")
    assert names(registry.gc()) == {"r/1/tune", "r/2/tune", "d/1/data", "d/2/data", "e/1/evaluate"}


def test_what_latest_names_stays_though_newer_runs_failed(registry, workspace):
    made(workspace, 1)
    run = workspace.run("r", 2, "tune")
    named = {"recipe": "r", "number": 2, "step": "tune", "stage": "x", "fingerprint": "x"}
    run.create({**named, "spec": {}, "inputs": {}})
    run.transition("failed")
    workspace.record_plan("r", 2, {"recipe": "r", "steps": [{"step": "tune", "folder": run.name}]})
    assert names(registry.gc()) == set()
    made(workspace, 3)
    assert names(registry.gc()) == {"r/1/tune", "r/2/tune"}


def test_a_step_that_a_newer_run_reused_stays(registry, workspace):
    made(workspace, 1)
    workspace.claim_number("r")
    workspace.record_plan("r", 2, {"recipe": "r", "steps": [{"step": "tune", "folder": "r/1/tune"}]})
    assert names(registry.gc()) == set()


@pytest.mark.parametrize("lock", ["plan.lock", "tune/run.lock"])
def test_what_is_in_progress_stays(registry, workspace, lock):
    made(workspace, 1)
    made(workspace, 2)
    with FileLock(workspace.runs / "r/1" / lock):
        assert names(registry.gc()) == set()
    assert names(registry.gc()) == {"r/1/tune"}


@pytest.mark.parametrize(
    "path", ["registry/support/history.jsonl", "runs/r/2/tune/artifact.json", "runs/r/1/plan.json"]
)
def test_nothing_is_removed_while_records_are_damaged(registry, workspace, path):
    for number in (1, 2):
        made(workspace, number)
    registry.register("r.tune@2", name="support")
    (workspace.root / path).write_text("?")
    said = []
    registry.gc(say=said.append)
    assert path.rpartition("/")[2] in said[0]
    with pytest.raises(burnish.BurnishError, match="nothing is removed"):
        registry.gc(delete=True)
    assert (workspace.runs / "r/1/tune/out").is_dir()


def test_what_was_registered_since_the_search_stays_with_all_that_it_was_made_from(registry, workspace, monkeypatch):
    from burnish.studio.registry import collection

    data = made(workspace, 1, recipe="d", kind="dataset", step="data")
    made(workspace, 1, inputs={"data": data.artifact().as_input("d.data@1")})
    for number in (2, 3):
        made(workspace, number)
        made(workspace, number, recipe="d", kind="dataset", step="data")
    search = collection.find_garbage

    def meanwhile(place):
        found = search(place)
        registry.register("r.tune@1", name="support")
        return found

    monkeypatch.setattr(collection, "find_garbage", meanwhile)
    assert set(registry.gc(delete=True)["removed"]) == {"r/2/tune", "d/2/data"}
    assert registry.show("support")["damage"] == ""
    assert data.out.is_dir()


def test_only_the_list_that_was_shown_is_removed(registry, workspace):
    for number in (1, 2):
        made(workspace, number)
    shown = names(registry.gc())
    made(workspace, 3)
    assert registry.gc(delete=True, only=shown)["removed"] == ["r/1/tune"]
    assert names(registry.gc()) == {"r/2/tune"}


def test_what_is_removed_while_it_is_registered_is_reported(registry, workspace, monkeypatch):
    from burnish.studio.registry import versions

    for number in (1, 2):
        made(workspace, number)
    describe = versions.describe

    def slow(*arguments):
        found = describe(*arguments)
        assert registry.gc(delete=True)["removed"] == ["r/1/tune"]
        return found

    monkeypatch.setattr(versions, "describe", slow)
    with pytest.raises(burnish.BurnishError, match="was removed meanwhile") as caught:
        registry.register("r.tune@1", name="support")
    assert caught.value.code == "run.damaged-artifact"
    assert registry.listing() == []


def test_a_workspace_that_never_rests_is_left_alone(registry, workspace, monkeypatch):
    from burnish.studio.registry import collection

    for number in (1, 2):
        made(workspace, number)
    search = collection.find_garbage

    def meanwhile(place):
        found = search(place)
        workspace.update_plan("r", 2, workspace.plan_of("r", 2))
        return found

    monkeypatch.setattr(collection, "find_garbage", meanwhile)
    with pytest.raises(burnish.BurnishError) as caught:
        registry.gc(delete=True)
    assert caught.value.code == "run.busy"
    assert (workspace.runs / "r/1/tune/out").is_dir()


def test_a_step_whose_artifact_was_removed_after_the_plan_runs_again(registry, workspace, quick_stages):
    from burnish.core.plan import make_plan
    from burnish.core.recipes.recipe import recipe_of
    from burnish.studio.running import execute

    recipe = {"name": "q", "steps": {"tune": {"stage": "quick-model", "base": "builtin:pocket"}}}
    recipe["steps"]["tune"]["data"] = "file:rows.txt"
    for rows in ("one", "two"):
        (workspace.root / "rows.txt").write_text(rows)
        burnish.run(recipe, workspace=workspace.root)
    (workspace.root / "rows.txt").write_text("one")
    plan = make_plan(recipe_of(recipe), workspace)
    assert plan.steps[0].action == "reuse"
    assert registry.gc(delete=True, workspace=workspace.root)["removed"] == ["q/1/tune"]
    assert execute(plan, workspace)["tune"].run.name == "q/3/tune"


def test_what_a_later_step_of_a_run_in_progress_reads_stays(registry, workspace):
    for number in (1, 2):
        made(workspace, number)
    made(workspace, 1, recipe="user")
    made(workspace, 2, recipe="user")
    steps = [{"step": "merge", "folder": "user/1/merge", "pinned": {"model": "r/1/tune", "base": "c0ffee"}}]
    workspace.update_plan("user", 1, {**workspace.plan_of("user", 1), "steps": steps})
    with FileLock(workspace.runs / "user/1/plan.lock"):
        assert names(registry.gc()) == set()
    assert names(registry.gc()) == {"r/1/tune", "user/1/tune"}


def test_what_an_unfinished_step_reads_stays_for_its_resumption(registry, workspace):
    data = made(workspace, 1, recipe="d", kind="dataset", step="data")
    made(workspace, 2, recipe="d", kind="dataset", step="data")
    named = {"recipe": "r", "number": 1, "step": "tune", "stage": "x", "fingerprint": "x", "spec": {}}
    inputs = {"data": data.artifact().as_input("d.data@1").to_json(workspace.root)}
    run = workspace.run("r", 1, "tune")
    run.create({**named, "inputs": inputs})
    workspace.record_plan("r", 1, {"recipe": "r", "steps": [{"step": "tune", "folder": run.name}]})
    assert names(registry.gc()) == set()
    made(workspace, 2)
    assert names(registry.gc()) == {"r/1/tune", "d/1/data"}


def test_what_a_killed_gc_left_is_removed_by_the_next(registry, workspace):
    made(workspace, 1)
    made(workspace, 2)
    (workspace.runs / "r/1/tune").rename(workspace.runs / "r/1/.tune.removed")
    assert registry.gc(delete=True)["removed"] == ["r/1/.tune.removed"]
    assert not (workspace.runs / "r/1").exists()


def test_an_import_that_was_killed_or_removed_is_garbage(registry, workspace, tmp_path):
    made(workspace, 1)
    registry.register("r.tune@1", name="support")
    path, root = registry.export("support", tmp_path / "s.tar"), tmp_path / "there"
    root.mkdir()
    code = "import sys, os, burnish; from burnish.studio.registry import transfer as t\n"
    code += "t.extract = lambda *_: os.kill(os.getpid(), 9)\n"
    code += "burnish.registry.import_(sys.argv[1], workspace=sys.argv[2])"
    assert subprocess.run([sys.executable, "-c", code, path, root], check=False).returncode == -9
    assert registry.listing(workspace=root) == []
    registry.import_(path, workspace=root)
    assert names(registry.gc(workspace=root)) == {"imported/1/support"}
    registry.remove("support@1", workspace=root)
    assert names(registry.gc(workspace=root)) == {"imported/1/support", "imported/2/support"}
    registry.gc(delete=True, workspace=root)
    registry.import_(path, workspace=root)
    assert registry.show("support", workspace=root)["artifact"]["run"] == "imported/3/support"  # no number twice
    assert registry.show("support", workspace=root)["version"] == 2
