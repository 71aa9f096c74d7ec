"""The workspace: its location, unique run numbers, and lookup of runs by name."""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from burnish.core.errors import AskError
from burnish.core.fingerprint import of_file
from burnish.core.paths import refuse_undecodable
from burnish.core.runs import workspace as workspace_module
from burnish.core.runs.names import plain_name
from burnish.core.runs.run import is_held
from burnish.core.runs.workspace import Workspace


def test_the_workspace_is_the_requested_one_then_the_environments_then_a_marked_parent_then_the_current_folder(
    tmp_path, monkeypatch
):
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    monkeypatch.delenv("BURNISH_WORKSPACE", raising=False)
    assert Workspace.find().root == deep
    (tmp_path / "burnish.yaml").write_text("")
    assert Workspace.find().root == tmp_path
    monkeypatch.setenv("BURNISH_WORKSPACE", str(tmp_path / "env"))
    assert Workspace.find().root == tmp_path / "env"
    assert Workspace.find(tmp_path / "asked").root == tmp_path / "asked"


def test_concurrent_processes_never_share_a_number(workspace):
    code = (
        "import sys; from pathlib import Path; from burnish.core.runs.workspace import Workspace\n"
        "w = Workspace(Path(sys.argv[1])); print(*(w.claim_number('r') for _ in range(40)))"
    )
    workers = [
        subprocess.Popen([sys.executable, "-c", code, str(workspace.root)], stdout=subprocess.PIPE) for _ in range(4)
    ]
    numbers = [int(word) for worker in workers for word in worker.communicate()[0].split()]
    assert sorted(numbers) == list(range(1, 161))


def test_runs_are_found_by_name(workspace, finished):
    one, two = finished("r", 1, "a"), finished("r", 2, "a")
    other = finished("q", 1, "b")
    named = {name: [run.name for run in workspace.find_runs(name)] for name in ("latest", "r", "r/1", "r/2/a", "q/")}
    assert named == {
        "latest": [other.name],
        "r": [two.name],
        "r/1": [one.name],
        "r/2/a": [two.name],
        "q/": [other.name],
    }
    assert [run.name for run in workspace.all_runs()] == [other.name, two.name, one.name]
    assert [run.name for run in workspace.all_runs("r")] == [two.name, one.name]


def test_the_tenth_run_is_newer_than_the_ninth(workspace, finished):
    finished("r", 9, "a")
    ten = finished("r", 10, "a")
    assert [run.name for run in workspace.find_runs("r")] == [ten.name]


@pytest.mark.parametrize(
    "name", ["", "/", "r/3", "r/1/x", "nothing", "r/x", "../etc", "r/1/a/b", "..", "r/²", "*", "r/../r/1", "."]
)
def test_other_names_are_refused(workspace, finished, name):
    finished("r", 1, "a")
    with pytest.raises(AskError) as caught:
        workspace.find_runs(name)
    assert caught.value.code == "ask.no-such-run"


def test_an_empty_workspace_has_no_latest_run(workspace):
    with pytest.raises(AskError, match="no runs"):
        workspace.latest()
    assert workspace.all_runs() == []


def test_a_broken_hash_cache_is_replaced_and_an_unwritable_one_ignored(workspace):
    known = {str(workspace.root): 1}
    workspace.remember_hashes(known)
    assert workspace.hashes() == known
    for text in ("{", "[1]", "\x00"):
        (workspace.root / ".burnish" / "hashes.json").write_text(text)
        assert workspace.hashes() == {}
    (workspace.root / ".burnish" / "hashes.json").unlink()
    (workspace.root / ".burnish").rmdir()
    (workspace.root / ".burnish").write_text("a file where the folder should be")
    workspace.remember_hashes({"a": 1})
    assert workspace.hashes() == {}


@pytest.mark.parametrize("change", [lambda s: s.replace("0", "1", 1), lambda s: s.replace("0000", "zzzz")])
def test_modified_hashes_are_ignored(workspace, change):
    known = {str(workspace.root): [[1, 2], "0" * 64]}
    workspace.remember_hashes(known)
    assert workspace.hashes() == known
    text = workspace.hash_file.read_text()
    before, files, rest = text.partition('"files"')
    workspace.hash_file.write_text(before + files + change(rest))
    assert workspace.hashes() == {}


def test_an_invalid_cached_hash_is_computed_again(tmp_path):
    path = tmp_path / "a"
    path.write_text("a")
    status = path.stat()
    stamp = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
    assert of_file(path, {str(path): [stamp, "no hash"]}) == hashlib.sha256(b"a").hexdigest()


def test_only_numbered_folders_are_runs(workspace, finished):
    run = finished("r", 1, "a")
    for copy in ("1.bak", "01", "\u0661"):
        shutil.copytree(run.folder.parent, workspace.runs / "r" / copy)
    (workspace.runs / "q").mkdir()
    shutil.copytree(run.folder.parent, workspace.runs / "q" / "1.bak")
    assert [run.name for run in workspace.all_runs()] == ["r/1/a"]
    assert (workspace.recipes(), workspace.numbers("r"), workspace.numbers("q")) == (["r"], [1], [])


def test_a_missing_current_folder_and_an_unknown_home_are_reported(tmp_path, monkeypatch):
    monkeypatch.delenv("BURNISH_WORKSPACE", raising=False)
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    for asked in (None, "work"):
        with pytest.raises(AskError, match="the current folder"):
            Workspace.find(asked)
    with pytest.raises(AskError, match="~nosuchuser"):
        Workspace.find("~nosuchuser/x")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "-a", " a", "a\n", "ü", "a" * 101, "latest", "plan.json"])
def test_names_that_leave_their_folder_are_refused(name):
    with pytest.raises(AskError):
        plain_name(name)


def test_file_times_do_not_matter(workspace, finished, tmp_path):
    """A copy with arbitrary file times behaves the same."""
    for recipe, number, step in (("r", 9, "a"), ("r", 10, "a"), ("q", 2, "a"), ("r", 11, "a"), ("q", 3, "a")):
        finished(recipe, number, step)
    (workspace.runs / "latest.txt").unlink()
    copy = Workspace(shutil.copytree(workspace.root, tmp_path / "copy"))
    for age, path in enumerate(sorted(copy.root.rglob("*"), reverse=True)):
        os.utime(path, (10**9 + age, 10**9 + age))
    for place in (workspace, copy):
        assert [run.name for run in place.all_runs()] == ["q/3/a", "r/11/a", "q/2/a", "r/10/a", "r/9/a"]
        assert [run.name for run in place.all_runs("r")] == ["r/11/a", "r/10/a", "r/9/a"]
        assert place.latest() == ("q", 3)


def test_a_removed_latest_run_is_replaced_by_the_newest_run(workspace, finished):
    finished("q", 1, "a")
    finished("r", 1, "a")
    finished("r", 2, "a")
    shutil.rmtree(workspace.runs / "r" / "2")
    assert workspace.latest() == ("r", 1)
    (workspace.runs / "latest.txt").write_bytes(b"\xff")
    assert workspace.latest() == ("r", 1)


def test_a_run_without_a_started_step_is_reported(workspace):
    number = workspace.claim_number("r")
    workspace.record_plan("r", number, {"recipe": "r", "steps": [{"step": "a", "folder": "r/1/a"}]})
    with pytest.raises(AskError, match="r/1: no step has started") as caught:
        workspace.find_runs()
    assert "burnish runs resume r/1" in caught.value.fix


def test_a_number_that_was_taken_meanwhile_is_passed_over(workspace, monkeypatch):
    assert [workspace.claim_number("r") for _ in range(3)] == [1, 2, 3]
    monkeypatch.setattr("pathlib.Path.iterdir", lambda self: iter(()))  # as seen before another process claimed them
    assert workspace.claim_number("r") == 4


def test_a_name_that_is_no_recipe_has_no_runs_and_a_missing_run_no_plan(workspace, finished):
    finished("r", 2)
    assert workspace.numbers("../r") == []
    assert workspace.numbers("r") == [2]
    with pytest.raises(AskError) as caught:
        workspace.plan_of("r", 3)
    assert caught.value.code == "ask.no-such-run"


def test_a_path_that_is_not_utf_8_is_refused():
    refuse_undecodable(Path("/data/é"), "the input")
    with pytest.raises(AskError, match="the input"):
        refuse_undecodable(Path("/data/\udcff"), "the input")


def test_hashes_of_files_that_are_gone_are_forgotten_and_the_rest_is_bounded(workspace, monkeypatch):
    files = [workspace.root / f"{number}.txt" for number in range(5)]
    for file in files:
        file.touch()
    known = {str(file): [[1], "0" * 64] for file in files}
    workspace.remember_hashes(known)
    assert workspace.hashes() == known
    files[1].unlink()
    workspace.remember_hashes(known)
    assert list(workspace.hashes()) == [str(files[number]) for number in (0, 2, 3, 4)]
    monkeypatch.setattr(workspace_module, "MOST_HASHES", 2)
    workspace.remember_hashes(known)
    assert list(workspace.hashes()) == [str(file) for file in files[3:]]


def test_old_locks_that_nobody_holds_are_removed_once_there_are_many(workspace):
    locks = [workspace.step_lock(f"{number:064}") for number in range(workspace_module.MOST_LOCKS + 3)]
    held, used, *others = (Path(lock.lock_file) for lock in locks)
    for lock in (held, *others):
        os.utime(lock, (time.time() - 8 * 86_400,) * 2)
    with locks[0]:
        workspace.step_lock("new")
        assert {path.name for path in held.parent.iterdir()} == {held.name, used.name, "new.lock"}
        assert is_held(locks[0])
    for lock in (held, used):
        os.utime(lock, (time.time() - 8 * 86_400,) * 2)
    workspace.step_lock("another")
    assert held.exists(), "few locks are left alone"
