"""What the shell offers after TAB, asked as bash asks."""

import os
import subprocess
import sys

import pytest

import burnish


@pytest.fixture
def offered(workspace):
    """`offered("plan", "fir")`: what bash is offered for the last word."""

    def offered(*words: str) -> list[str]:
        environment = {
            **os.environ,
            "_BURNISH_COMPLETE": "complete_bash",
            "COMP_WORDS": " ".join(["burnish", *words]),
            "COMP_CWORD": str(len(words)),
        }
        command = [sys.executable, "-m", "burnish.cli.main"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=workspace.root, env=environment, check=False)
        assert done.stderr == ""
        return done.stdout.split()

    return offered


def test_recipes_and_folders_are_offered(offered, workspace):
    (workspace.root / "mine.yaml").write_text("name: mine\n")
    (workspace.root / "more").mkdir()
    (workspace.root / "notes.txt").write_text("")
    assert offered("plan", "m") == ["mine.yaml", "mixture", "more/"]
    assert "demo" in offered("run", "de")


def test_steps_and_settings_of_the_recipe_are_offered(offered):
    assert "tune" in offered("run", "demo", "--only", "t")
    assert "tune.max_steps=" in offered("run", "demo", "--set", "tune.max")
    assert "method.rank=" in offered("sft", "--set", "method.ra")


def test_runs_and_artifacts_are_offered(offered, quick_stages, workspace):
    burnish.run_stage("quick-make", workspace=workspace.root)
    assert offered("runs", "show", "") == ["latest", "quick-make", "quick-make/1", "quick-make/1/quick-make"]
    assert "quick-make.quick-make@latest" in offered("inspect", "quick-make.")
    assert "quick-make.quick-make@1" in offered("sft", "--data", "quick-make.")
    assert offered("chat", "builtin") == ["builtin:pocket"]


def test_datasets_and_files_are_offered(offered, workspace):
    workspace.data.mkdir()
    (workspace.data / "rows.jsonl").write_text("{}\n")
    assert offered("datasets", "show", "") == ["data/rows.jsonl"]
    assert offered("datasets", "add", "data/r") == ["data/rows.jsonl"]


def test_a_workspace_that_cannot_be_read_offers_nothing(offered, workspace):
    (workspace.root / "broken.yaml").write_text("{")
    workspace.runs.mkdir()
    (workspace.runs / "x" / "1" / "y").mkdir(parents=True)
    (workspace.runs / "x" / "1" / "y" / "run.json").write_text("{")
    assert offered("run", "broken.yaml", "--only", "") == []
    assert "Traceback" not in " ".join(offered("runs", "show", ""))


@pytest.mark.parametrize(
    "given",
    [{"COMP_CWORD": "x"}, {"COMP_CWORD": ""}, {"COMP_CWORD": "-1"}, {}, {"COMP_CWORD": "1", "COMP_WORDS": "burnish '"}],
)
def test_a_broken_request_of_the_shell_prints_nothing(given, tmp_path):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("COMP_")}
    environment |= {"_BURNISH_COMPLETE": "complete_bash", "COMP_WORDS": "burnish ru", **given}
    command = [sys.executable, "-m", "burnish.cli.main"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert done.stderr == ""
    assert "internal error" not in done.stdout
