"""A plan says what is done besides its steps, and which packages are missing, before anything runs."""

from pathlib import Path

import pytest

import burnish
from burnish.core.context import Input
from burnish.core.inputs import besides
from burnish.studio.planning import as_recipe

MODEL = "builtin:pocket"


def notes_of(workspace, stage, **settings):
    plan = burnish.plan({"name": "x", "steps": {"s": {"stage": stage, **settings}}}, workspace=workspace.root)
    return " ".join(plan.notes)


def test_an_upload_is_in_the_plan(workspace):
    assert "upload" not in notes_of(workspace, "export", model=MODEL)
    private = notes_of(workspace, "export", model=MODEL, push_to="hub:me/support")
    assert "s: uploads the folder to hub:me/support, a private repository" in private
    assert "may be public" in notes_of(workspace, "export", model=MODEL, push_to="hub:me/support", private=False)


@pytest.mark.parametrize("token", [None, "hf_x"])
def test_an_upload_without_a_token_is_warned_of_in_the_plan(workspace, tmp_path, monkeypatch, token):
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    if token is not None:
        monkeypatch.setenv("HF_TOKEN", token)
    steps = {"s": {"stage": "export", "model": MODEL, "push_to": "hub:me/support"}}
    warnings = burnish.plan({"name": "x", "steps": steps}, workspace=workspace.root).warnings
    assert ("push_to needs a token" in " ".join(warnings)) is (token is None)


def test_an_environment_that_is_made_is_in_the_plan(workspace):
    assert "environment of its own" in notes_of(workspace, "quantize", model=MODEL, method="rtn")
    assert notes_of(workspace, "quantize", model=MODEL, method="nf4") == ""
    assert notes_of(workspace, "quantize", model=MODEL, method="rtn", environment="container") == ""


def test_where_a_server_answers_is_in_the_plan(workspace):
    assert "answers at 127.0.0.1:8001 until" in notes_of(workspace, "serve", model=MODEL)


@pytest.mark.parametrize(("has_it", "is_reused"), [(False, False), (False, True), (True, False)])
def test_a_download_is_in_the_plan_unless_the_files_are_there(quick_stages, tmp_path, monkeypatch, has_it, is_reused):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    commit = "a" * 40
    if has_it:
        (tmp_path / "models--me--small" / "snapshots" / commit).mkdir(parents=True)
    base = Input("hub:me/small", "hub-model", Path("."), revision=commit)
    (step,) = as_recipe({"name": "x", "steps": {"make": {"stage": "quick-make"}}}).steps
    found = list(besides.besides(step, {"base": base}, is_reused=is_reused))
    assert found == ([] if has_it or is_reused else [f"make: downloads hub:me/small to {tmp_path}"])


def test_packages_that_a_later_step_needs_are_missed_in_the_plan(workspace, tmp_path, monkeypatch):
    known = tmp_path / "burnish-9.dist-info"
    known.mkdir()
    lines = ["nowhere-to-be-found>=2; extra == 'ship'", "burnish[train]; extra == 'ship'", "torch; extra == 'train'"]
    lines += ["absent-too; extra == 'train'", "absent-three; extra == 'dev'"]
    head = "Metadata-Version: 2.1\nName: burnish\nVersion: 9\n"
    (known / "METADATA").write_text(head + "".join(f"Requires-Dist: {line}\n" for line in lines))
    monkeypatch.syspath_prepend(str(tmp_path))
    besides._lacking.cache_clear()
    try:
        steps = {"file": {"stage": "gguf", "model": MODEL}}
        plan = burnish.plan({"name": "x", "steps": steps}, workspace=workspace.root)
    finally:
        besides._lacking.cache_clear()
    missing = "file: not installed: nowhere-to-be-found, absent-too; pip install 'burnish[ship]'"
    assert plan.warnings == (missing,)
