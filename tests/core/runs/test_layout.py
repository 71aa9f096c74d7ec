"""Where the workspace puts everything, with which permissions, and which run a name means."""

import json
import os
import time
from pathlib import Path

import pytest
from filelock import FileLock

from burnish.core.errors import AskError, RunError
from burnish.core.files import write_json
from burnish.core.runs.names import plain_name
from burnish.core.runs.workspace import Workspace


def said(error: AskError | RunError) -> str:
    return f"{error.code} | {error.what} | {error.fix}"


def refused(call, *args, **named) -> str:
    with pytest.raises((AskError, RunError)) as caught:
        call(*args, **named)
    return said(caught.value)


@pytest.fixture
def plan(workspace):
    """Write the plan of a run: `plan("r", 1, created=5.0)`."""

    def plan(recipe, number, steps=(), **more):
        (workspace.runs / recipe / str(number)).mkdir(parents=True)
        workspace.update_plan(recipe, number, {"recipe": recipe, "steps": list(steps), **more})

    return plan


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_a_workspace_is_its_real_folder(tmp_path, monkeypatch):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path)
    for given in ("link", "./real", "link/../real", tmp_path / "link"):
        assert Workspace(Path(given)).root == tmp_path / "real"
    assert Workspace.find("link").root == tmp_path / "real"
    with pytest.raises(AskError, match=r"^the workspace: the path .* is not UTF-8\n"):
        Workspace(tmp_path / "\udcff")


def test_the_nearest_marked_folder_is_the_workspace(tmp_path, monkeypatch):
    monkeypatch.delenv("BURNISH_WORKSPACE", raising=False)
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    (tmp_path / "burnish.yaml").mkdir()
    assert Workspace.find().root == tmp_path / "a" / "b"
    (tmp_path / "burnish.yaml").rmdir()
    (tmp_path / "burnish.yaml").touch()
    (tmp_path / "a" / "burnish.yaml").touch()
    assert Workspace.find().root == tmp_path / "a"


def test_a_number_follows_the_highest_one_and_its_folder_is_private(workspace):
    assert workspace.claim_number("r") == 1
    assert mode(workspace.runs / "r" / "1") == 0o700
    for name in ("7", "012", "99.bak", "x"):
        (workspace.runs / "r" / name).mkdir()
    assert [workspace.claim_number("r") for _ in range(2)] == [8, 9]
    assert workspace.claim_number("q") == 1
    assert "'../r' is not a valid name" in refused(workspace.claim_number, "../r")
    assert not (workspace.root / "r").exists()


def test_every_file_of_a_run_has_its_place(workspace):
    number = workspace.claim_number("r")
    folder = workspace.root / "runs" / "r" / "1"
    before = time.time()
    workspace.record_plan("r", number, {"recipe": "r", "steps": []})
    written = json.loads((folder / "plan.json").read_text())
    assert before <= written.pop("created") <= time.time()
    assert written == {"recipe": "r", "steps": []}
    assert mode(folder / "plan.json") == 0o600
    assert (workspace.root / "runs" / "latest.txt").read_text() == "r/1\n"
    workspace.record_plan("r", number, {"recipe": "r", "steps": [], "created": 5.0})
    assert workspace.plan_of("r", 1) == {"recipe": "r", "steps": [], "created": 5.0}
    assert workspace.run("r", 1, "s").folder == folder / "s"
    assert workspace.lock_of("r", 1).lock_file == str(folder / "plan.lock")
    assert workspace.stop_file("r", 1) == folder / "stop"
    assert workspace.hash_file == workspace.root / ".burnish" / "hashes.json"
    for _ in range(2):
        assert workspace.step_lock("f" * 64).lock_file == str(workspace.root / ".burnish/locks" / f"{'f' * 64}.lock")
    assert (workspace.root / ".burnish/locks").is_dir()
    for recipe, step in (("../r", "s"), ("r", "../s")):
        assert "is not a valid name" in refused(workspace.run, recipe, 1, step)


def test_a_lock_of_a_step_needs_no_folder_before_it(tmp_path):
    with Workspace(tmp_path / "new" / "deep").step_lock("f"):
        assert (tmp_path / "new/deep/.burnish/locks/f.lock").exists()


def test_hashes_are_replaced_by_newer_ones_and_need_no_folder_before_them(tmp_path):
    workspace = Workspace(tmp_path / "new" / "deep")
    a, b = (str(tmp_path / name) for name in "ab")
    for path in (a, b):
        Path(path).touch()
    for known in ({a: 1}, {a: 2, b: 3}):
        workspace.remember_hashes(known)
        assert workspace.hashes() == known


def test_only_a_plan_with_its_recipe_can_be_resumed(workspace, plan):
    plan("r", 1)
    plan("r", 2, values={"name": "r"})
    plan("r", 3, values={})
    path = workspace.runs / "r" / "{}" / "plan.json"
    fix = "remove {} and run the recipe again: finished steps are reused"
    assert workspace.plan_of("r", 1) == {"recipe": "r", "steps": []}
    assert workspace.plan_of("r", 2, resumable=True)["values"] == {"name": "r"}
    for number in ("1", "3"):
        broken = str(path).format(number)
        assert refused(workspace.plan_of, "r", number, resumable=True) == (
            f"run.broken-record | {broken} lacks 'values', the recipe | {fix.format(broken)}"
        )
    assert refused(workspace.plan_of, "r", 4) == (
        f"ask.no-such-run | there is no run 'r/4' in {workspace.root} | see `burnish runs list`"
    )


def test_recipes_are_in_the_order_of_their_names_and_numbers_are_newest_first(workspace, plan):
    for recipe in "hbdafcge":
        plan(recipe, 1)
    for number in (2, 11, 10, 9, 100, 3):
        plan("h", number)
    assert workspace.recipes() == list("abcdefgh")
    assert workspace.numbers("h") == [100, 11, 10, 9, 3, 2, 1]
    assert workspace.numbers("x") == workspace.numbers("*") == workspace.numbers("../runs/h") == []


@pytest.mark.parametrize(
    ("text", "latest"),
    [
        ("q/1\n", ("q", 1)),
        (" r/2 ", ("r", 2)),
        ("q/9\n", ("r", 3)),
        ("x/1\n", ("r", 3)),
        ("q/x\n", ("r", 3)),
        ("q/01\n", ("r", 3)),
        ("q\n", ("r", 3)),
        ("q/1/s\n", ("r", 3)),
        ("", ("r", 3)),
        (None, ("r", 3)),
    ],
)
def test_the_latest_run_is_the_recorded_one_or_else_the_one_created_last(workspace, plan, text, latest):
    for recipe, number, created in (("q", 1, 5.0), ("r", 2, 6.0), ("r", 3, 9.0), ("s", 1, 7.0)):
        plan(recipe, number, created=created)
    if text is not None:
        (workspace.runs / "latest.txt").write_text(text)
    assert workspace.latest() == latest
    assert workspace.number_of() == workspace.number_of("latest") == latest


def test_of_plans_without_a_time_the_highest_number_is_the_latest(workspace, plan):
    plan("q", 5)
    plan("r", 2)
    assert workspace.latest() == ("q", 5)
    plan("r", 1, created=0.5)
    assert workspace.latest() == ("r", 1)
    plan("s", 8)
    (workspace.runs / "s" / "8" / "plan.json").write_text("{")
    assert workspace.latest() == ("r", 1)


def test_a_run_without_a_readable_time_is_older_than_the_others(workspace, finished):
    for number, created in ((1, 0.5), (2, None), (3, 0.25)):
        run = finished("r", number)
        record = {key: value for key, value in run.record.items() if key != "created"}
        write_json(run.folder / "run.json", record if created is None else {**record, "created": created})
    assert [run.name for run in workspace.all_runs()] == ["r/1/s", "r/3/s", "r/2/s"]
    assert [run.name for run in workspace.all_runs("r")] == ["r/3/s", "r/2/s", "r/1/s"]


def test_a_name_is_split_into_recipe_and_number(workspace, plan):
    for number in (4, 12):
        plan("r", number)
    names = {"r": 12, "r/": 12, "/r/4": 4, "r/7": 7, "r/4/s": 4, "r/4/s/": 4}
    assert {name: workspace.number_of(name) for name in names} == {name: ("r", n) for name, n in names.items()}
    for name in ("", "x", "..", "../4", "r/x", "r/04", "r/0", "r/4/s/t", "r/-4", "a b/4"):
        assert refused(workspace.number_of, name) == (
            f"ask.no-such-run | there is no run '{name}' in {workspace.root} | see `burnish runs list`"
        )


def test_the_steps_of_a_run_are_found_in_their_order_and_alone(workspace, finished):
    for step in ("b", "a", "c"):
        finished("r", 1, step)
    os.remove(workspace.run("r", 1, "c").folder / "run.json")
    found = {name: [run.name for run in workspace.find_runs(name)] for name in ("r", "r/1", "r/1/a", "/r/1/b/")}
    assert found == {"r": ["r/1/b", "r/1/a"], "r/1": ["r/1/b", "r/1/a"], "r/1/a": ["r/1/a"], "/r/1/b/": ["r/1/b"]}
    assert refused(workspace.find_runs, "r/1/c") == (
        "ask.no-such-run | r/1: step c has not started | resume it: burnish runs resume r/1"
    )
    for name in ("r/1/d", "r/2", "r/2/a"):
        assert refused(workspace.find_runs, name) == (
            f"ask.no-such-run | there is no run '{name}' in {workspace.root} | see `burnish runs list`"
        )
    assert {step: run.folder for step, run in workspace.steps_of("r", 1).items()} == {
        step: workspace.runs / "r" / "1" / step for step in ("b", "a", "c")
    }


def test_an_empty_workspace_says_how_to_start(workspace):
    assert refused(workspace.find_runs) == (
        f"ask.no-such-run | there are no runs in {workspace.root} | start one: burnish demo"
    )


@pytest.mark.parametrize("name", ["latest", "latest.txt", "plan.json", "plan.lock", "stop", "_a", "a" * 101, "a~"])
def test_a_name_that_the_layout_needs_or_no_folder_should_have_is_refused(name):
    assert refused(plain_name, name) == (
        f"ask.wrong-value | '{name}' is not a valid name of a recipe or step | use letters, digits, '.', '-' and '_', "
        "starting with a letter or digit; not latest, latest.txt, plan.json, plan.lock, stop"
    )


@pytest.mark.parametrize("name", ["a", "7", "Latest", "stop.txt", "a" * 100, "a.b-c_D"])
def test_any_other_name_is_kept(name):
    assert plain_name(name) == name


def test_a_workspace_that_is_missing_or_a_file_is_named(tmp_path):
    fix = "check --workspace and BURNISH_WORKSPACE; a first run creates the folder"
    (tmp_path / "file").write_text("")
    for name, problem in (("none", "does not exist"), ("file", "is not a folder")):
        workspace = Workspace(tmp_path / name)
        for call in (workspace.refuse_missing, workspace.latest, lambda w=workspace: w.find_runs("r/1")):
            assert refused(call) == f"ask.no-such-run | the workspace {tmp_path / name} {problem} | {fix}"
    Workspace(tmp_path).refuse_missing()


def test_locks_of_a_week_ago_are_removed_once_there_are_more_than_a_hundred(workspace):
    folder = workspace.root / ".burnish" / "locks"
    folder.mkdir(parents=True)
    week, now = 7 * 86_400, time.time()

    def lock(name: str, age: float) -> Path:
        path = folder / f"{name}.lock"
        path.touch()
        os.utime(path, (now - age, now - age))
        return path

    fresh = {lock(f"fresh-{number}", 0).stem for number in range(98)}
    lock("young", week - 60)
    used, old = lock("used", week + 60), week + 60
    workspace.step_lock("used")  # there are a hundred: none is removed, and this one is in use
    assert len(list(folder.iterdir())) == 100
    assert used.stat().st_mtime >= now - 60
    lock("old", old)
    with FileLock(lock("held", old)):
        lock("held", old)
        workspace.step_lock("new")
        assert {path.stem for path in folder.iterdir()} == {*fresh, "young", "used", "held", "new"}
