"""`burnish adapters` and `burnish models`."""

import json

import pytest


@pytest.fixture
def adapter(workspace):
    """A folder that is an adapter by its files."""
    folder = workspace.root / "lora"
    folder.mkdir()
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "somebody/base"}')
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    return folder


def test_a_folder_is_registered_once_and_listed(burnish, adapter):
    assert "registered as support@1 (candidate)" in burnish("adapters", "register", "lora", "--name", "support").out
    assert "is registered already: support@1" in burnish("adapters", "register", "lora", "--name", "support").out
    (adapter / "adapter_model.safetensors").write_bytes(b"other weights")
    again = burnish("adapters", "register", "lora", "--name", "support", "--because", "trained longer", "--who", "Ada")
    assert "support@2" in again.out
    rows = json.loads(burnish("--json", "adapters", "list").out)
    assert [(row["ref"], row["stage"]) for row in rows] == [("support@2", "candidate"), ("support@1", "candidate")]
    assert "has 7 bytes" not in rows[0]["damage"]
    assert "instead of 7" in rows[1]["damage"]  # the folder was changed under the first version
    assert json.loads(burnish("--json", "models", "list").out) == []
    shown = burnish("adapters", "show", "support@2").out
    assert "by Ada: trained longer" in shown
    assert "somebody/base" in shown


def test_a_model_is_no_adapter(burnish, adapter):
    burnish("adapters", "register", "lora", "--name", "support")
    found = burnish("models", "show", "support")
    assert found.status == 2
    assert "burnish adapters" in found.err
    found = burnish("models", "register", "lora", "--name", "other")
    assert found.status == 2
    assert "expects model" in found.err
    found = burnish("models", "register", "builtin:pocket", "--name", "support")
    assert found.status == 2
    assert "holds adapters" in found.err
