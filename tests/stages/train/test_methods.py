"""Methods in the stages on judged answers: the reference is the model before training, whatever is trained."""

import math

import pytest
import torch

from burnish.core.context import Input
from burnish.models.load import load_model
from burnish.specs.preferences import RewardSpec
from burnish.testing import input_at

METHODS = {
    "pissa": {"kind": "lora", "rank": 4, "init": "pissa"},
    "olora": {"kind": "lora", "rank": 4, "init": "olora", "lora_plus": 16},
    "new_tokens": {"kind": "lora", "rank": 4, "new_tokens": ["a", "<x>"], "new_special_tokens": ["<y>"]},
    "freeze": {"kind": "freeze", "layers": 1},
}
WITH_A_REFERENCE = [
    *((method, "cached") for method in METHODS),
    *((method, "each_step") for method in METHODS if method != "freeze"),  # there is no adapter to switch off
]
USUAL = {"max_steps": 2, "batch_size": 4, "threads": 1, "device": "cpu"}


@pytest.mark.some
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(("method", "log_probs"), WITH_A_REFERENCE)
def test_dpo_starts_at_the_reference_and_its_model_is_loaded(rows, base, run_stage, method, log_probs, dtype):
    settings = USUAL | {"method": METHODS[method], "reference_log_probs": log_probs, "dtype": dtype}
    inputs = {"base": base, "data": rows("preference")}
    outcome, out, events = run_stage("dpo", "dpo", inputs, **settings)
    losses = [event.values["loss"] for event in events if event.kind == "metric" and "loss" in event.values]
    exact = (
        1e-3 if method == "new_tokens" else 1e-5
    )  # a new token's row starts at the mean, not at the base's unused row
    assert losses[0] == pytest.approx(math.log(2), rel=exact if dtype == "float32" else 5e-2)
    assert outcome.kind == ("model" if method == "freeze" else "adapter")
    source = out if method == "freeze" else Input("step:x", "adapter", out, inputs={"base": input_at(base)})
    assert load_model(source)(torch.tensor([[5, 6, 7]])).logits.isfinite().all()


@pytest.mark.parametrize("method", ["pissa", "freeze"])
def test_a_reward_model_is_trained_by_them(rows, base, run_stage, method):
    inputs = {"base": base, "data": rows("preference")}
    outcome, _, _ = run_stage("reward", "reward", inputs, **USUAL | {"method": METHODS[method]})
    assert outcome.kind == ("model" if method == "freeze" else "adapter")


def test_a_reward_model_takes_no_new_tokens():
    with pytest.raises(ValueError, match=r"method\.new_tokens cannot be combined with the stage reward"):
        RewardSpec(base="file:b", data="file:d", method=METHODS["new_tokens"])
