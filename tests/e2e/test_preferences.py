"""The recipes of the preference trainings run in short form, and each objective learns: measured on held-out rows."""

import json
from pathlib import Path

import pytest

import burnish

RECIPES = Path(__file__).parents[2] / "recipes"
RISES = {"dpo": 2.0, "kto": 2.0, "orpo": 0.4, "simpo": 6.0, "reward": 0.2}
"""How far the held-out margin (of rewards; for kto, between labels) rises at least; the accuracy is 0.95 at the end."""
WHOLE = ("dpo", "reward")
"""Recipes of which every step runs, with the checks of `prove`; of the others the training and its inputs run."""
LONG = ("orpo", "simpo")
"""Recipes that `make torture` runs, 12 s of a core each; `make test` has two others with their kind of rows."""
pytestmark = pytest.mark.timeout(600)  # processes that import torch and train: half a minute of one core each


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.torture) if name in LONG else name for name in RISES]
)
def test_a_recipe_runs_and_its_objective_learns(name, tmp_path):
    settings = ["answers.generator.rows=200", "tune.max_steps=16", "tune.eval_every=1", "tune.checkpoint.every=16"]
    settings += ["tune.threads=1"] + ["tune.prove=off"] * (name not in WHOLE)
    only = () if name in WHOLE else ("tune",)
    run = burnish.run(RECIPES / f"{name}.yaml", settings=settings, only=only, workspace=tmp_path)
    folder = run["tune"].path
    events = [json.loads(line) for line in (folder.parent / "events.jsonl").read_text().splitlines()]
    found = [event["values"] for event in events if event["kind"] == "metric" and "eval_loss" in event["values"]]
    assert found[-1]["eval_margin"] - found[0]["eval_margin"] >= RISES[name]
    assert found[-1]["eval_accuracy"] >= 0.95
    assert found[-1]["eval_loss"] < found[0]["eval_loss"]
    if name in ("orpo", "simpo"):
        assert found[0]["eval_accuracy"] <= 0.05  # the base prefers what is rejected; no reference takes that away
