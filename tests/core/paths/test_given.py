"""A path of Windows is understood wherever a path may be given: in references, arguments, settings and variables."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import burnish.core.paths.written as written
from burnish.cli.stages import as_reference
from burnish.core.errors import AskError, ModelError
from burnish.core.inputs import git
from burnish.core.inputs.references import resolve
from burnish.core.paths import expanded
from burnish.core.paths.system import Mount, System
from burnish.core.recipes.recipe import recipe_of
from burnish.core.runs.workspace import Workspace
from burnish.models.bases import base_of
from burnish.specs.base import short_name
from burnish.specs.evals.tasks import TasksSpec
from burnish.studio.planning import init_workspace, stage_recipe

SOURCES = Path(__file__).parents[3] / "src"


@pytest.fixture
def drive(tmp_path, monkeypatch):
    """The folder of drive C: of a machine with WSL."""
    folder = tmp_path / "win" / "c"
    folder.mkdir(parents=True)
    system = System("wsl", f"{tmp_path}/win/", "Ubuntu", (Mount(r"\\nas\data", str(tmp_path / "win" / "c")),))
    monkeypatch.setattr(written, "this_system", lambda: system)
    return folder


@pytest.fixture
def elsewhere(monkeypatch):
    """A machine without Windows."""
    monkeypatch.setattr(written, "this_system", lambda: System("posix"))


@pytest.mark.parametrize(
    "ref",
    [
        r"file:C:\my data\rows.jsonl",
        "file:C:/my data/rows.jsonl",
        "file:///C:/my%20data/rows.jsonl",
        r'file:"C:\my data\rows.jsonl"',
        r"file:\\nas\data\my data\rows.jsonl",
        r"C:\my data\rows.jsonl",
    ],
)
def test_a_reference_names_a_file_of_windows(ref, drive, tmp_path):
    (drive / "my data").mkdir()
    (drive / "my data" / "rows.jsonl").write_text("{}\n")
    found = resolve(ref, ("file",), Workspace(tmp_path / "here"), {})
    assert found.path == drive / "my data" / "rows.jsonl"
    assert found.kind == "file"
    assert as_reference(ref) == f"file:{found.path}"


def test_a_path_of_windows_is_no_scheme_of_one_letter(elsewhere, tmp_path):
    for ref in (r"file:C:\rows.jsonl", r"C:\rows.jsonl"):
        with pytest.raises(AskError, match="neither Windows nor WSL") as caught:
            resolve(ref, ("file",), Workspace(tmp_path), {})
        assert r"C:\rows.jsonl" in caught.value.what
        with pytest.raises(AskError, match="neither Windows nor WSL"):
            as_reference(ref)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_scheme_is_no_name_of_a_hub(tmp_path):
    with pytest.raises(AskError) as caught:
        resolve("hbu:owner/name", ("model",), Workspace(tmp_path), {})
    assert caught.value.what == "hbu:owner/name: there are no references of the form hbu:…"
    assert "hub" in caught.value.fix


def test_a_recipe_without_the_scheme_is_told_to_write_it():
    values = {"name": "r", "steps": {"data": {"stage": "prepare", "source": r"C:\rows.jsonl"}}}
    with pytest.raises(AskError) as caught:
        recipe_of(values)
    assert r"did you mean file:C:\rows.jsonl?" in f"{caught.value.what} {caught.value.fix}"


def test_a_folder_with_backslashes_is_found_by_its_hint(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rows.jsonl").write_text("{}\n")
    with pytest.raises(AskError) as caught:
        resolve(r"file:data\rows.jsonl", ("file",), Workspace(tmp_path), {})
    assert caught.value.fix.endswith("file:data/rows.jsonl")


def test_the_workspace_is_named_by_an_argument_or_a_variable(drive, monkeypatch):
    assert Workspace.find(r"C:\my work").root == drive / "my work"
    monkeypatch.setenv("BURNISH_WORKSPACE", r"C:\my work")
    assert Workspace.find().root == drive / "my work"


def test_files_of_settings_recipes_and_new_workspaces_are_named_so(drive):
    (drive / "s.yaml").write_text("generator: {rows: 20}\n")
    assert stage_recipe("synthesize", [r"C:\s.yaml"]).steps[0].spec.generator.rows == 20
    assert init_workspace(Path(r"C:\new"), "demo")[-1] == drive / "new" / "demo.yaml"


def test_a_repository_is_named_so(drive, tmp_path):
    def run(*words):
        subprocess.run(["git", "-C", str(drive / "repo"), *words], check=True, capture_output=True)

    (drive / "repo").mkdir()
    run("init", "-q", "-b", "main")
    (drive / "repo" / "x").write_text("1\n")
    run("add", "x")
    run("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "x")
    for name in (r"C:\repo", r"C:\repo@main", "C:/repo@main", "file:///C:/repo", "file:///C:/repo@main"):
        assert git.pin(name, tmp_path).path == drive / "repo"
    assert git.is_address("host:path")


def test_the_base_of_an_adapter_from_windows_is_found_or_named(drive, tmp_path, monkeypatch):
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": r"C:\models\one"}))
    (drive / "models" / "one").mkdir(parents=True)
    (drive / "models" / "one" / "config.json").write_text("{}")
    assert base_of(adapter) == drive / "models" / "one"
    monkeypatch.setattr(written, "this_system", lambda: System("posix"))
    with pytest.raises(ModelError, match="is a path of Windows, and this machine is neither"):
        base_of(adapter)


def test_the_name_of_a_file_of_windows_is_its_last_part():
    assert short_name(r"file:C:\data\rows.jsonl") == "rows.jsonl"
    assert short_name(r"file:\\nas\data\rows.jsonl") == "rows.jsonl"
    assert short_name("file:data/a\\b") == "a\\b"


def test_a_task_is_a_file_of_a_folder_of_windows():
    task = TasksSpec.model_validate([r"file:C:\tasks\mine.yaml"]).names[0]
    assert (task.folder, task.files) == (r"file:C:\tasks", ["mine.yaml"])
    with pytest.raises(ValueError, match=r"is a path: write file:C:"):
        TasksSpec.model_validate([r"C:\tasks\mine.yaml"])


def test_only_this_module_expands_paths():
    """Other code would read `~` and drives another way."""
    found = []
    for path in SOURCES.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if path.parent.name != "paths" and re.search("expanduser|expandvars", text):
            tree = ast.parse(text)
            calls = (node for node in ast.walk(tree) if isinstance(node, ast.Attribute))
            found += [f"{path.name}:{node.lineno}" for node in calls if node.attr in ("expanduser", "expandvars")]
    assert not found


def test_this_machine_is_one_of_the_kinds():
    expected = {"win32": ("windows",), "linux": ("wsl", "container", "posix")}.get(sys.platform, ("posix",))
    assert written.this_system().kind in expected
    if written.this_system().kind in ("posix", "container"):
        with pytest.raises(AskError, match="is a path of Windows"):
            expanded(r"C:\x")
