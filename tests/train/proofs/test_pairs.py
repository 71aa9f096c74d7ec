"""The checks of preferences ask for the sign of the objective, not for the slope at the pairs of the data."""

import json

import numpy as np
import pytest

from burnish.models.adapters.attach import attach_lora
from burnish.models.load import load_model
from burnish.specs.preferences import DpoSpec, KtoSpec, OrpoSpec, SimpoSpec
from burnish.testing import temporary_context
from burnish.tokens.tokenised import TokenisedRows
from burnish.train.fit import fit, seed_everything
from burnish.train.objectives import dpo, kto, orpo, simpo
from burnish.train.resolve import Resolved

OF_SPECS = {SimpoSpec: simpo.Simpo, DpoSpec: dpo.Dpo, OrpoSpec: orpo.Orpo, KtoSpec: kto.Kto}
OTHER_REFERENCE = {"reference": "file:other"}
SETTINGS = [
    (SimpoSpec, {"loss": "hinge"}),
    (SimpoSpec, {"loss": "sigmoid"}),
    (SimpoSpec, {"loss": "sigmoid", "label_smoothing": 0.1}),
    (SimpoSpec, {"loss": "simpo", "beta": 200.0}),
    (SimpoSpec, {"loss": "ipo", "beta": 50.0}),
    (SimpoSpec, {"loss": "hinge", "sft_weight": 0.5}),
    (DpoSpec, OTHER_REFERENCE),
    (DpoSpec, OTHER_REFERENCE | {"loss": "hinge"}),
    (DpoSpec, OTHER_REFERENCE | {"loss": "ipo"}),
    (DpoSpec, OTHER_REFERENCE | {"loss": "robust", "label_smoothing": 0.2}),
    (DpoSpec, {"reference_log_probs": "each_step", "loss": "ipo"}),
    (OrpoSpec, {}),
    (KtoSpec, OTHER_REFERENCE),
]


def separated(width, reference):
    """A short answer is hundreds of nats likelier than a long one."""
    random = np.random.default_rng(0)
    made = []
    for number in range(4):
        prompt = random.integers(3, 264, 5)
        sequences = []
        for length in (2, 70)[:width] if width == 2 else ((2, 70)[number % 2],):
            ids = np.concatenate([prompt, random.integers(3, 264, length)]).astype(np.int32)
            sequences.append((ids, (np.arange(len(ids)) >= len(prompt)).astype(np.float32)))
        made.append((f"row{number}", sequences))
    far = np.tile(np.array([[-900.0, -10.0]], np.float32), (4, 1))
    if width == 1:
        far = far.reshape(-1)[:4, None].copy()
    values = {"reference": far} if reference else {}
    if width == 1:
        values["label"] = np.array([1, 0, 1, 0], np.float32)
    return TokenisedRows.of_groups(made, width, values)


@pytest.fixture
def proved(base, tmp_path):
    """`proved(kind, settings)`: checks by name of a training on these rows."""

    def run(kind, settings):
        rows = separated(1 if kind is KtoSpec else 2, settings.get("reference"))
        spec = kind(data="file:r", base="file:b", prove="only", max_steps=2, batch_size=4, **settings)
        context, _ = temporary_context(tmp_path)
        seed_everything(0)
        model = attach_lora(load_model(base), spec.method)
        fit(
            spec,
            context,
            model,
            rows,
            None,
            Resolved("cpu", model.dtype, 1, False, 256),
            objective=OF_SPECS[kind](spec),
        )
        return {check["name"]: check for check in json.loads((context.out / "proof.json").read_text())["checks"]}

    return run


@pytest.mark.parametrize(("kind", "settings"), SETTINGS, ids=lambda value: str(value)[-60:])
def test_a_right_objective_on_separated_pairs_is_found_right(kind, settings, proved):
    found = proved(kind, settings)
    assert [
        f"{c['name']}: {c['found']} {c['measured']}" for c in found.values() if c["verdict"] == "does not hold"
    ] == []
    assert found["preferred answer"]["verdict"] == "holds"
    assert found["reached"]["verdict"] == "holds"
    assert found["first step"]["verdict"] == "holds"


@pytest.mark.parametrize(("kind", "settings"), SETTINGS[:5], ids=lambda value: str(value)[-60:])
def test_exchanged_answers_are_found_on_separated_pairs_too(kind, settings, proved, monkeypatch):
    monkeypatch.setattr(simpo, "CHOSEN", 1)
    monkeypatch.setattr(simpo, "REJECTED", 0)
    assert proved(kind, settings)["preferred answer"]["verdict"] == "does not hold"
