"""`prove` finds nothing in right models of many families, with an adapter and whole, in float32 and bfloat16."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from burnish.models.adapters.attach import attach_lora
from burnish.models.quiet import quiet_transformers
from burnish.specs.train import SftSpec
from burnish.testing import temporary_context
from burnish.train.batches import TokenisedRows
from burnish.train.fit import fit, seed_everything
from burnish.train.resolve import Resolved
from families import build

FAMILIES = {
    "llama": {},
    "qwen2": {"tie_word_embeddings": True},
    "qwen3": {"tie_word_embeddings": False},
    "gpt2": {},
    "mistral": {"sliding_window": 16},
    "gemma2": {"final_logit_softcapping": 2.0, "sliding_window": 16},
    "gemma3_text": {"sliding_window": 16},
    "cohere": {"logit_scale": 0.25},
    "granite": {"logits_scaling": 4.0},
    "phi3": {},
    "mixtral": {},
    "qwen3_moe": {},
    "olmoe": {},
    "bamba": {},
    "qwen3_next": {},
    "jamba": {},
    "mamba": {},
    "gpt_oss": {},
    "opt": {},
    "falcon": {},
}


def rows():
    random = np.random.default_rng(0)
    made = []
    for number in range(8):
        length = int(random.integers(6, 40))
        weights = (random.random(length) < 0.5).astype(np.float32)
        weights[-1] = 1.0
        made.append((f"row{number}", random.integers(4, 200, length).astype(np.int32), weights))
    return TokenisedRows.of(made)


METHODS = [("lora", "float32"), ("full", "float32"), ("lora", "bfloat16")]


@pytest.mark.some(every=2)
@pytest.mark.parametrize(
    ("family", "method", "dtype"),
    [
        pytest.param(family, *pair, marks=() if (place + turn) % 3 == 0 else pytest.mark.torture)
        for place, family in enumerate(FAMILIES)
        for turn, pair in enumerate(METHODS)
    ],
)
def test_a_right_model_of_any_family_is_found_right(family, method, dtype, tmp_path):
    """`make test` has one of the three methods for every second family, `make torture` the others."""
    optimizer = {"weight_decay": 0.1}
    settings = {"prove": "only", "method": {"kind": method}, "max_steps": 2, "optimizer": optimizer}
    spec = SftSpec(data="file:r", base="file:b", **settings)
    context, _ = temporary_context(tmp_path)
    seed_everything(0)
    with quiet_transformers():
        model = build(family, **FAMILIES[family]).to(getattr(torch, dtype))
        model = attach_lora(model, spec.method) if method == "lora" else model.requires_grad_(True)
        fit(spec, context, model, rows(), None, Resolved("cpu", getattr(torch, dtype), 1, False, 64))
    checks = [SimpleNamespace(**check) for check in json.loads((context.out / "proof.json").read_text())["checks"]]
    assert [f"{check.name}: {check.found}" for check in checks if check.verdict == "does not hold"] == []
    assert len([check for check in checks if check.verdict == "holds"]) >= 9


ON_STANDS = {
    "grpo": ["llama", "gpt2", "mistral", "gemma2", "cohere", "qwen3_moe"],
    "reward": ["qwen2", "gemma2", "mixtral"],
}
"""Families of the trainings on rewards, one after the other in float32 and in bfloat16. Mamba's kind cannot sample."""


@pytest.mark.some(every=2)
@pytest.mark.parametrize(("stage", "family"), [(stage, family) for stage in ON_STANDS for family in ON_STANDS[stage]])
def test_a_right_training_on_rewards_of_any_family_is_found_right(stage, family, prove_stage):
    place = ON_STANDS[stage].index(family)
    settings = {"dtype": "bfloat16" if place % 2 else "float32"}
    if stage == "grpo":
        settings |= {"kl_coefficient": 0.1, "passes": 1 + place % 2}
    proof = prove_stage(stage, family, FAMILIES[family], settings)
    assert [
        f"{c['name']}: {c['found']} {c['measured']}" for c in proof["checks"] if c["verdict"] == "does not hold"
    ] == []
    assert [c["found"] for c in proof["checks"] if "Error" in c["found"]] == []
    assert proof["by_name"]["sampled" if stage == "grpo" else "score"]["verdict"] == "holds"
