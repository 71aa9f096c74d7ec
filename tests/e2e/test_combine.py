"""The recipe that combines adapters runs in short form, up to their checked sum."""

import json
from pathlib import Path

import pytest

import burnish

RECIPE = Path(__file__).parents[2] / "recipes" / "combine.yaml"
SHORT = [
    *(f"{step}.generator.rows=100" for step in ("requests", "skills")),
    *(f"{step}.{setting}" for step in ("tool", "mixed") for setting in ("max_steps=3", "prove=off")),
]


@pytest.mark.torture  # 25 s of one core
@pytest.mark.timeout(600)  # eight steps, each in a process of its own
def test_two_adapters_are_trained_and_combined(tmp_path):
    run = burnish.run(RECIPE, settings=SHORT, only=["mean"], workspace=tmp_path)
    mean = json.loads((run["mean"].path / "combination.json").read_text())
    assert mean["check"]["largest"] < 1e-6
    assert mean["rank"] == 32
    assert run["mean"].artifact.certificate["parent"]["ref"] == "0.5·tool + 0.5·mixed"
    assert [each["name"] for each in mean["adapters"]] == ["tool", "mixed"]
