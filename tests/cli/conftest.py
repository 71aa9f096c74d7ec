"""The command line, in this process: what it prints, and the status it ends with."""

import json
import sys
from types import SimpleNamespace

import pytest

from burnish.cli.main import entry


@pytest.fixture
def burnish(quick_stages, workspace, monkeypatch, capsys):
    """Call `burnish WORDS…` in a workspace of its own."""
    monkeypatch.chdir(workspace.root)
    monkeypatch.setenv("BURNISH_WORKSPACE", str(workspace.root))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    def burnish(*words):
        monkeypatch.setattr(sys, "argv", ["burnish", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            entry()
        said = capsys.readouterr()
        return SimpleNamespace(status=caught.value.code or 0, out=said.out, err=said.err)

    return burnish


@pytest.fixture
def recipe(workspace):
    path = workspace.root / "r.yaml"
    steps = {"make": {"stage": "quick-make"}, "join": {"stage": "quick-join", "source": "step:make"}}
    path.write_text(json.dumps({"name": "r", "steps": steps}, indent=1))
    return path
