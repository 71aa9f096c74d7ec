"""`burnish prove` on a recipe, in real workers: what it runs, what it names, and its exit status."""

import json

import pytest
from typer.testing import CliRunner

import burnish
from burnish.cli.main import app
from burnish.core.errors import AskError
from burnish.studio import proving


def recipe(tmp_path, **render):
    turns = [
        [{"role": "user", "content": f"Say {n}"}, {"role": "assistant", "content": "yes " * n}] for n in range(1, 9)
    ]
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"messages": one}) + "\n" for one in turns))
    tune = {"stage": "sft", "base": "builtin:pocket", "data": f"file:{rows}", "max_steps": 2, "render": render}
    return {"name": "tiny", "steps": {"tune": tune}}


def test_a_step_is_proved_and_nothing_is_trained(workspace, tmp_path):
    found = burnish.prove(recipe(tmp_path), workspace=workspace.root)
    assert found.holds, found.proof
    assert found.run == "tiny-proof/1"  # tiny.tune@latest still means a trained model
    assert found.step == "tune"
    shown = burnish.show("tiny-proof/1/tune", workspace=workspace.root)[0]
    assert shown["kind"] == "proof"
    assert shown["metrics"]["failed"] == 0
    assert [check["name"] for check in shown["checks"]] == [check["name"] for check in found.proof["checks"]]
    assert not [path for path in found.path.parent.iterdir() if path.suffix == ".safetensors"]


@pytest.mark.parametrize(
    ("held", "failed", "errors", "status"), [(9, 0, 0, 0), (9, 1, 0, 1), (9, 0, 1, 1), (0, 0, 0, 1)]
)
def test_the_exit_status_is_0_where_checks_hold_and_no_other_fails_or_raises(
    held, failed, errors, status, tmp_path, monkeypatch
):
    """A real training in which a check fails needs a fault in burnish: the museum has them."""
    check = {
        "name": "moon",
        "verdict": "does not hold",
        "found": "half",
        "measured": 0.5,
        "allowed": 0.1,
        "fix": "wait",
    }
    proof = {"held": held, "failed": failed, "errors": errors, "sample": "1 row", "checks": [check][:failed]}
    result = proving.ProofResult("tiny-proof/1", "tune", tmp_path / "proof.json", proof)
    monkeypatch.setattr(proving, "prove", lambda *given, **named: result)
    ran = CliRunner().invoke(app, ["prove", "tiny.yaml"])
    assert ran.exit_code == status
    assert ("moon: wait" in ran.stdout) == bool(failed)
    assert json.loads(CliRunner().invoke(app, ["--json", "prove", "tiny.yaml"]).stdout)["failed"] == failed


def test_the_step_to_prove_is_named_where_several_train(tmp_path):
    several = recipe(tmp_path)
    several["steps"]["again"] = {**several["steps"]["tune"], "base": "step:tune"}
    with pytest.raises(AskError, match="2 training steps") as caught:
        burnish.prove(several)
    assert caught.value.fix == "add --step: tune, again"
    with pytest.raises(AskError, match="no training step 'tun'"):
        burnish.prove(several, step="tun")
