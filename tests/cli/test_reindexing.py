"""`burnish runs reindex` says what it indexed, and where."""

import json


def test_runs_are_indexed(burnish, recipe, workspace):
    burnish("run", recipe)
    said = burnish("runs", "reindex")
    assert (said.status, said.err) == (0, "")
    assert " ".join(said.out.split()) == f"indexed 1 runs with 2 steps in {workspace.database}"
    (workspace.runs / "r/1/join/artifact.json").write_text("")
    said = burnish("runs", "reindex")
    lines = said.out.splitlines()
    assert lines[0].startswith("r/1/join: ")
    assert "1 records are damaged: see `burnish doctor`" in " ".join(said.out.split())
    found = json.loads(burnish("--json", "runs", "reindex").out)
    assert (found["runs"], found["steps"], [one["subject"] for one in found["damaged"]]) == (1, 2, ["r/1/join"])
