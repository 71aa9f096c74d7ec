"""The stage ppo: an ordinary adapter or model with a value head beside it, which a later training continues."""

import pytest
import torch
from pydantic import ValidationError
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from burnish.core.context import Input
from burnish.core.errors import ModelError
from burnish.models.load import load_model
from burnish.models.value_head import FILE, add_value_head
from burnish.specs.models import MergeSpec
from burnish.specs.rl import PpoSpec
from burnish.stages.models import merge
from burnish.testing import temporary_context, tiny_model

SETTINGS = {
    "rewards": [{"kind": "length", "target": 3, "margin": 9}],
    "generation": {"max_new_tokens": 6},
    "batch_size": 3,
    "max_steps": 2,
    "learning_rate": 1e-2,
    "threads": 1,
    "prove": "off",
}
METHODS = {"lora": {"kind": "lora", "rank": 2}, "full": {"kind": "full"}} | {
    "freeze": {"kind": "freeze", "layers": 1},
    "qlora": {"kind": "qlora", "rank": 2},
}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("base"), "qwen3", initializer_range=0.2)


def reason_of_head(events):
    return [event.reason for event in events if event.kind == "chosen" and event.field == "value_head"]


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        *(("lora", "float32"), ("lora", "bfloat16"), ("full", "float32"), ("full", "bfloat16")),
        *(("freeze", "float32"), ("qlora", "bfloat16")),
    ],
)
def test_the_value_head_is_kept_beside_an_ordinary_adapter_or_model(rows, base, run_stage, tmp_path, kind, dtype):
    inputs = {"data": rows("prompt"), "base": base}
    outcome, out, events = run_stage("ppo", "run", inputs, **SETTINGS, method=METHODS[kind], dtype=dtype)
    assert outcome.kind == ("adapter" if "lora" in kind else "model")
    assert reason_of_head(events) == ["the base has none"]
    head = load_file(out / FILE)
    assert {name: (tuple(weight.shape), weight.dtype) for name, weight in head.items()} == {
        "weight": ((1, load_model(base).config.hidden_size), torch.float32),
        "bias": ((1,), torch.float32),
    }
    assert all(weight.any() for weight in head.values())
    weights = next(out.glob("*model.safetensors"))
    with safe_open(weights, "pt") as file:
        assert not [name for name in file.keys() if "value" in name and "head" in name]  # noqa: SIM118
    load_model(out)
    assert (out / "rollouts.parquet").is_file()
    assert outcome.measures["steps"] == 2
    if kind == "lora" and dtype == "float32":
        adapter = Input("file:a", "adapter", out, inputs={"base": Input("file:b", "model", base)})
        context, _ = temporary_context(tmp_path / "merge", {"model": adapter})
        merge.run(MergeSpec(model="file:a"), context)
        merged, whole = load_model(context.out), load_model(adapter)
        ids = torch.arange(3, 20)[None]
        torch.testing.assert_close(merged(ids).logits, whole(ids).logits, rtol=1e-4, atol=1e-4)
        assert not (context.out / FILE).exists()


def test_a_later_training_starts_from_the_value_head_of_its_base(rows, base, run_stage):
    data = rows("prompt")
    _, first, _ = run_stage("ppo", "first", {"data": data, "base": base}, **SETTINGS)
    adapter = Input("file:a", "adapter", first, inputs={"base": Input("file:b", "model", base)})
    last = SETTINGS | {"max_steps": 1, "learning_rate": 1e-12}
    inputs = {"data": data, "base": adapter}
    _, second, events = run_stage("ppo", "second", inputs, **last)
    assert reason_of_head(events) == ["it is saved with file:a"]
    for name, weight in load_file(first / FILE).items():
        torch.testing.assert_close(load_file(second / FILE)[name], weight)
    _, fresh, events = run_stage("ppo", "fresh", inputs, **last, value_head="zeros")
    assert reason_of_head(events) == []
    assert max(float(weight.abs().max()) for weight in load_file(fresh / FILE).values()) < 1e-6


def test_a_value_head_of_another_width_or_without_its_bias_is_refused(base, tmp_path):
    model, wrong = load_model(base), tmp_path / "wrong"
    (wrong / FILE).parent.mkdir(parents=True)
    width = model.config.hidden_size
    for tensors, what in (
        ({"weight": torch.zeros(1, width + 1), "bias": torch.zeros(1)}, rf"shape \[1, {width + 1}\]"),
        ({"weight": torch.zeros(1, width)}, "no readable bias"),
    ):
        save_file(tensors, wrong / FILE)
        with pytest.raises(ModelError, match=what) as caught:
            add_value_head(model, wrong)
        assert caught.value.code == "model.broken"


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"missing_end_penalty": 1.0, "mask_truncated": True}, "no effect with mask_truncated"),
        ({"kl_coefficient": 0, "reference": "file:other"}, "reference without kl_coefficient"),
        ({"batch_tokens": 100}, "batch_size"),
        ({"mini_batches": 9}, "at least one prompt"),
        ({"value_coefficient": 0}, "greater than 0"),
        ({"gae_lambda": 1.1}, "less than or equal to 1"),
        ({"gamma": 0}, "greater than 0"),
        ({"clip_value": 0}, "greater than 0"),
        ({"kl_in": "loss"}, "Extra inputs are not permitted"),
        ({"rewards": []}, "at least 1 item"),
        ({"generation": {"temperature": 0}}, "greater than 0"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, what):
    with pytest.raises(ValidationError, match=what):
        PpoSpec(data="file:d", base="file:b", **{"rewards": [{"kind": "number"}]} | settings)
