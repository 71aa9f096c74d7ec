"""The streams that a shell hands over: closed, full, and a current folder that is gone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from burnish.studio import machine

BURNISH = Path(sys.executable).with_name("burnish")


@pytest.fixture
def shell(quick_stages, workspace, monkeypatch):
    """Run a line of a shell in which $B is burnish."""
    monkeypatch.setenv("B", str(BURNISH))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    def shell(line):
        return subprocess.run(["sh", "-c", line], cwd=workspace.root, capture_output=True, text=True, check=False)

    return shell


def test_a_closed_output_is_no_fault(shell, recipe, workspace):
    done = shell("$B run r.yaml <&- >&- 2>&-")
    assert done.returncode == 0
    assert workspace.latest() == ("r", 1)
    for words in ("runs list", "runs list --json", "plan r.yaml", "inspect r.yaml"):
        done = shell(f"$B {words} >&-")
        assert done.returncode == 0, (words, done.stderr)
        assert "Traceback" not in done.stderr
        assert "internal error" not in done.stderr


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", ["run r.yaml", "runs list --json"])
def test_a_full_output_is_not_called_a_full_disk(shell, recipe, monkeypatch, words, unbuffered):
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    done = shell(f"$B {words} >/dev/full")
    assert done.returncode == 5
    assert "standard output" in done.stderr
    assert "workspace" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_a_current_folder_that_is_gone_is_told(shell):
    done = shell("mkdir gone && cd gone && rmdir ../gone && $B runs list --json")
    assert done.returncode == 2
    assert "the current folder" in json.loads(done.stderr)["error"]["what"]


@pytest.mark.parametrize(
    ("path", "there"),
    [(".burnish", "file"), ("runs", "file"), ("runs/r", "file"), ("runs/latest.txt", "folder")],
)
def test_what_stands_in_the_place_of_a_file_or_folder_is_named(burnish, recipe, workspace, monkeypatch, path, there):
    place = workspace.root / path
    place.parent.mkdir(exist_ok=True)
    place.mkdir() if there == "folder" else place.touch()
    done = burnish("run", recipe)
    said = "".join(done.err.split())
    assert done.status == 6
    assert f"{place}isa{there}" in said, done.err
    assert "renameorremove" in said
    assert "Errno" not in said
    if path == "runs/r":  # a stray file in runs/ does no harm as long as no recipe has its name
        return
    monkeypatch.setattr(machine, "_devices", lambda: {"names": ["cpu"]})
    found = burnish("doctor")
    assert (found.status, str(place) in "".join(found.out.split())) == (1, True)


CLOSED = ("plan r.yaml", "runs list", "runs list --json", "runs show", "schema", "schema sft", "--help", "runs --help",
          "help", "plan r.yaml --json", "runs tail", "--version", "sft --help")  # fmt: skip


@pytest.mark.parametrize(
    ("unbuffered", "commands"),
    [("", CLOSED), ("1", CLOSED[:4]), pytest.param("1", CLOSED, marks=pytest.mark.torture)],
    ids=["buffered", "unbuffered", "all unbuffered"],
)
def test_a_pipe_whose_reader_is_gone_ends_a_command_quietly(
    shell, recipe, workspace, monkeypatch, unbuffered, commands
):
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    assert shell("$B run r.yaml").returncode == 0
    found = {}
    for words in commands:
        reader, writer = os.pipe()
        os.close(reader)
        command = [BURNISH, *words.split()]
        done = subprocess.run(
            command, cwd=workspace.root, stdout=writer, stderr=subprocess.PIPE, text=True, check=False
        )
        os.close(writer)
        found[words] = (done.returncode, done.stderr)
    assert found == dict.fromkeys(commands, (0, ""))


def test_a_run_whose_reader_is_gone_stops_and_says_so(shell, recipe, workspace):
    reader, writer = os.pipe()
    os.close(reader)
    command = [BURNISH, "run", "r.yaml"]
    done = subprocess.run(command, cwd=workspace.root, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert done.returncode == 6
    assert done.stderr.startswith("error: the output was closed: run r/1 was stopped")
