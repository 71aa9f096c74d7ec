"""What is printed reaches every terminal: one that shows ASCII only, and paths that are no UTF-8."""

import json
import os
import subprocess
import sys

import pytest


def burnish(*words, folder, **environment):
    """Call burnish as a person does, in a process of its own."""
    command = [sys.executable, "-m", "burnish.cli.main", *words]
    return subprocess.run(command, capture_output=True, cwd=folder, env={**os.environ, **environment}, check=False)


ASCII = [
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "ascii:strict"},
    {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
]


@pytest.fixture
def folder(tmp_path):
    recipe = {"name": "größe", "steps": {"a": {"stage": "synthesize", "generator": {"rows": 1}}}}
    (tmp_path / "größe.yaml").write_text(json.dumps({**recipe, "name": "g"}, ensure_ascii=False))
    (tmp_path / "wrong.yaml").write_text(json.dumps(recipe, ensure_ascii=False), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("environment", ASCII, ids=str)
def test_an_ascii_terminal_gets_words_and_no_fault(folder, environment):
    planned = burnish("plan", "demo", folder=folder, **environment)
    assert (planned.returncode, planned.stderr) == (0, b"")
    assert b"15 of 15 steps" in planned.stdout
    wrong = burnish("plan", "wrong.yaml", folder=folder, **environment)
    assert wrong.returncode == 2
    assert wrong.stderr.startswith(b"error: ")
    assert b"fault of its own" not in wrong.stderr
    assert wrong.stderr.isascii()


@pytest.mark.parametrize("environment", ASCII, ids=str)
def test_json_keeps_every_character_on_an_ascii_terminal(folder, environment):
    wrong = burnish("--json", "plan", "wrong.yaml", folder=folder, **environment)
    assert wrong.stderr.isascii()
    assert "größe" in json.loads(wrong.stderr)["error"]["what"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such paths")
@pytest.mark.parametrize("words", [("plan",), ("--json", "plan"), ("inspect",), ("runs", "show")], ids=" ".join)
def test_a_path_that_is_no_utf_8_is_an_error_and_no_fault(tmp_path, words):
    name = os.fsdecode(b"caf\xe9.yaml")
    (tmp_path / name).write_text("name: x\n")
    done = burnish(*words, name, folder=tmp_path)
    assert done.returncode in (2, 3)
    assert b"fault of its own" not in done.stderr
    assert b"Traceback" not in done.stderr
    done.stderr.decode("utf-8")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such paths")
def test_a_workspace_whose_path_is_no_utf_8_is_refused_by_name(tmp_path):
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(folder)
    done = burnish("demo", folder=folder)
    assert done.returncode == 2
    assert b"not UTF-8" in done.stderr
    assert os.listdir(folder) == []
