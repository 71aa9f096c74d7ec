"""`burnish prove` on a recipe, in real workers: what it runs, what it names, and its exit status."""

import json
import os
import subprocess
import sys

import pytest

import burnish
from burnish.core.errors import AskError

ENDLESS = "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}"


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


def test_the_exit_status_is_1_where_a_template_never_ends_a_turn(workspace, tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(json.dumps(recipe(tmp_path, chat_template=ENDLESS)))  # JSON is YAML
    command = [
        sys.executable,
        "-m",
        "burnish.cli.main",
        "prove",
        str(path),
        "--json",
        "--workspace",
        str(workspace.root),
    ]
    ran = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    )
    assert ran.returncode == 1, ran.stderr
    checks = {check["name"]: check for check in json.loads(ran.stdout)["checks"]}
    assert checks["turn ends"]["verdict"] == "does not hold"
    assert checks["turn ends"]["fix"]


def test_the_step_to_prove_is_named_where_several_train(tmp_path):
    several = recipe(tmp_path)
    several["steps"]["again"] = {**several["steps"]["tune"], "base": "step:tune"}
    with pytest.raises(AskError, match="2 training steps") as caught:
        burnish.prove(several)
    assert caught.value.fix == "add --step: tune, again"
    with pytest.raises(AskError, match="no training step 'tun'"):
        burnish.prove(several, step="tun")
