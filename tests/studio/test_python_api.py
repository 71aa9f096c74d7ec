"""burnish as a notebook uses it."""

import subprocess
import sys

import pytest

import burnish


def test_importing_burnish_loads_nothing_heavy():
    code = (
        "import sys, burnish\n"
        "print([name for name in ('torch', 'transformers', 'pydantic', 'typer', 'yaml') if name in sys.modules])\n"
        "burnish.run, burnish.plan, burnish.BurnishError\n"
        "print([name for name in ('torch', 'transformers', 'peft', 'typer', 'rich', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n[]\n"


def test_every_public_name_is_there():
    for name in burnish.__all__:
        assert getattr(burnish, name) is not None
    with pytest.raises(AttributeError):
        _ = burnish.nothing_of_the_kind


def test_a_stage_is_run_and_its_result_used(workspace, monkeypatch):
    monkeypatch.chdir(workspace.root)
    monkeypatch.delenv("BURNISH_WORKSPACE", raising=False)
    result = burnish.run_stage("synthesize", generator={"rows": 20})
    assert result.metrics["rows"] == 20
    assert (result.path / "train.parquet").is_file()
    assert result.path.is_relative_to(workspace.root)
    assert burnish.run_stage("synthesize", generator={"rows": 20}).action == "reuse"
    assert burnish.run_stage("synthesize", generator={"rows": 20}, force=True).action == "run"
    assert burnish.run_stage("synthesize", settings=["generator.rows=20"]).action == "reuse"
    assert [row["state"] for row in burnish.runs()] == ["succeeded", "succeeded"]


def test_a_recipe_is_run_from_a_path_with_settings(recipe, workspace, tmp_path):
    import json

    path = tmp_path / "r.yaml"
    path.write_text(json.dumps(recipe))
    result = burnish.run(path, settings=["make.times=2"], workspace=workspace.root)
    assert result.metrics == {"make": {"words": 2}, "join": {"words": 2}}
    assert burnish.run([path], settings=["make.times=2"], workspace=workspace.root)["join"].action == "reuse"


def test_errors_carry_code_what_and_fix(workspace):
    with pytest.raises(burnish.BurnishError) as caught:
        burnish.run_stage("synthesize", generator={"rws": 20}, workspace=workspace.root)
    assert caught.value.code == "ask.unknown-key"
    assert "generator.rws" in caught.value.what
    assert "rows" in caught.value.fix
    with pytest.raises(burnish.BurnishError) as caught:
        burnish.run_stage("synthesize", generator=object(), workspace=workspace.root)
    assert caught.value.code == "ask.wrong-value"
