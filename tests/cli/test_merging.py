"""`burnish adapters merge`: the stage combine from the command line."""

import json
import re
from pathlib import Path

import pytest
import torch

from burnish.models.adapters.attach import attach_lora, save_adapter
from burnish.models.load import load_model
from burnish.specs.train import LoraSpec
from burnish.testing import input_at, tiny_model


@pytest.fixture(scope="module")
def adapters(tmp_path_factory) -> Path:
    """A folder with two adapters, a and b."""
    folder = tmp_path_factory.mktemp("adapters")
    base = tiny_model(folder / "base", num_hidden_layers=1)
    for seed, name in enumerate("ab"):
        torch.manual_seed(seed)
        model = attach_lora(load_model(base), LoraSpec(rank=2))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.05 * torch.randn(parameter.shape) if parameter.requires_grad else 0)
        save_adapter(model, folder / name, input_at(base))
    return folder


def test_adapters_are_merged_and_copied(burnish, adapters, tmp_path):
    parts = [adapters / "a", adapters / "b"]
    found = burnish("adapters", "merge", *parts, "--weights", "0.7,-0.3", "--method", "ties", "--out", tmp_path / "out")
    assert found.status == 0, found.err
    assert "kept of its change" in found.out
    config = json.loads((tmp_path / "out/adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(adapters / "base")
    assert config["r"] == 2
    record = json.loads((tmp_path / "out/combination.json").read_text())
    assert [(each["name"], each["weight"]) for each in record["adapters"]] == [("a", 0.7), ("b", -0.3)]

    again = burnish("adapters", "merge", *parts, "--weights", "0.7,-0.3", "--method", "ties", "--out", tmp_path / "out")
    assert again.status == 2
    assert "exists" in again.err


WRONG = {
    "two weights for three": (("--weights", "1,2,3"), "3 values for 2 adapters"),
    "no number": (("--weights", "1,x"), "'x' is not a number"),
    "no weights": ((), "--weights"),
    "a misspelt method": (("--weights", "1,1", "--method", "tis"), "'method': Input should be 'linear', 'cat'"),
    "names": (("--weights", "1,1", "--names", "a"), "1 values for 2 adapters"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_arguments_are_named(burnish, adapters, wrong):
    words, said = WRONG[wrong]
    found = burnish("adapters", "merge", adapters / "a", adapters / "b", *words)
    assert found.status == 2
    assert re.search(said, found.err), found.err
