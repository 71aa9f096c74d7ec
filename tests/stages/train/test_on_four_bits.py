"""Every objective trains an adapter on a base in 4 bits, and what it leaves is loaded and merged as it was trained."""

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForSequenceClassification

from burnish.models.load import load_model
from burnish.models.quantization.layers import dequantize, in_four_bits
from burnish.models.quantization.record import read_quantization
from burnish.models.quiet import quiet_transformers
from burnish.models.reward import load_reward_model
from burnish.specs.models import MergeSpec
from burnish.stages.models import merge
from burnish.testing import temporary_context

SETTINGS = {
    "max_steps": 3,
    "batch_size": 6,
    "learning_rate": 1e-2,
    "threads": 1,
    "method": {"kind": "qlora", "rank": 4},
}
OBJECTIVES = {
    "dpo": ("preference", {}),
    "dpo-each-step": ("preference", {"reference_log_probs": "each_step"}),
    "kto": ("label", {}),
    "orpo": ("preference", {}),
    "simpo": ("preference", {}),
    "reward": ("preference", {}),
}
IDS = torch.arange(3, 30)[None]


@torch.no_grad()
def logits(folder):
    return load_model(folder, dtype=torch.float32)(IDS).logits


@torch.no_grad()
def assert_same_scores(base, adapter, merged):
    """Of PEFT on the dequantized base, and of the merged reward model."""
    with quiet_transformers():
        classifier = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1)
        dequantize(classifier, read_quantization(adapter))
        trained = PeftModel.from_pretrained(classifier, str(adapter)).eval()
    torch.testing.assert_close(load_reward_model(merged)(IDS).logits, trained(IDS).logits, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_objective_trains_on_a_base_in_four_bits(name, rows, base, run_stage, tmp_path):
    kind, settings = OBJECTIVES[name]
    inputs = {"data": rows(kind), "base": base}
    outcome, out, _ = run_stage(name.partition("-")[0], name, inputs, **SETTINGS, **settings)
    assert outcome.measures["last_loss"] < outcome.measures["first_loss"]
    assert len(read_quantization(out).layers) == 14
    ctx, events = temporary_context(tmp_path / "merge", {"model": out})
    merged = merge.run(MergeSpec(model="file:a", into="dequantized"), ctx)
    assert (merged.certificate is None) == (name == "reward")
    if name == "reward":
        assert any("not measured (a reward model has no next token)" in getattr(event, "text", "") for event in events)
        assert_same_scores(base, out, ctx.out)
        return
    assert len(in_four_bits(load_model(out))) == 14
    torch.testing.assert_close(logits(ctx.out), logits(out), atol=1e-4, rtol=1e-4)
    if name == "orpo":
        ctx, events = temporary_context(tmp_path / "original", {"model": out})
        assert merge.run(MergeSpec(model="file:a"), ctx).certificate is None
        assert any("not certified" in getattr(event, "text", "") for event in events)


def test_the_log_probabilities_of_the_reference_are_those_of_the_base_in_four_bits(rows, base, run_stage):
    """Computed before the training or in each step, by the adapter switched off: the first loss is log 2."""
    inputs = {"data": rows("preference"), "base": base}
    for when in ("cached", "each_step"):
        outcome, _, _ = run_stage("dpo", when, inputs, **SETTINGS, reference_log_probs=when)
        assert outcome.measures["first_loss"] == pytest.approx(0.6931, abs=1e-3)
