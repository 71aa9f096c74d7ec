"""Adapters: put on, saved, loaded back to the same bits, and refused where they do not fit."""

import json
from pathlib import Path

import pytest
import torch

from burnish.core.context import Input
from burnish.core.errors import ModelError
from burnish.models.adapters.attach import attach_lora, excess_rank, save_adapter
from burnish.models.adapters.targets import plan_targets
from burnish.models.bases import base_of
from burnish.models.load import load_model
from burnish.specs.train import LoraSpec
from burnish.testing import input_at, tiny_model


@pytest.fixture
def base(tmp_path) -> Path:
    return tiny_model(tmp_path / "base")


def trained(model) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def refusal(code: str, ask) -> ModelError:
    with pytest.raises(ModelError) as error:
        ask()
    assert error.value.code == code
    return error.value


def test_all_linear_means_every_linear_layer_but_the_head(base):
    names = trained(attach_lora(load_model(base), LoraSpec()))
    layers = {name.split(".lora_")[0].rpartition(".")[2] for name in names}
    assert layers == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
    assert len(names) == 2 * 7 * 2


def test_a_fresh_adapter_changes_nothing(base, token_ids):
    before = load_model(base)(token_ids).logits
    for spec in (LoraSpec(), LoraSpec(train_fully=["lm_head"])):
        model = attach_lora(load_model(base), spec).eval()
        assert torch.equal(model(token_ids).logits, before)


def test_settings_reach_the_adapter(base):
    spec = LoraSpec(rank=8, rslora=True, dora=True, dropout=0.25, targets=["q_proj"], train_fully=["embed_tokens"])
    model = attach_lora(load_model(base), spec)
    layer = model.base_model.model.model.layers[0].self_attn.q_proj
    assert layer.scaling["default"] == 16 / 8**0.5
    assert layer.lora_dropout["default"].p == 0.25
    assert "default" in layer.lora_magnitude_vector
    assert any("embed_tokens" in name for name in trained(model))
    alpha = attach_lora(load_model(base), LoraSpec(rank=8, alpha=4))
    assert alpha.base_model.model.model.layers[0].self_attn.q_proj.scaling["default"] == 0.5


def test_what_is_trained_is_float32_on_a_bfloat16_model(tmp_path):
    model = load_model(tiny_model(tmp_path, dtype="bfloat16"))
    model = attach_lora(model, LoraSpec(targets=["embed_tokens", "q_proj"], train_fully=["norm"]))
    dtypes = {parameter.requires_grad: parameter.dtype for parameter in model.parameters()}
    assert dtypes == {True: torch.float32, False: torch.bfloat16}


@pytest.mark.parametrize("spec", [LoraSpec(targets=["q_prj"]), LoraSpec(train_fully=["lm_heed"])])
def test_an_unknown_module_is_refused_with_the_nearest_name(base, spec):
    error = refusal("model.unknown-target", lambda: attach_lora(load_model(base), spec))
    assert "'q_proj'" in error.fix or "'lm_head'" in error.fix


@pytest.mark.parametrize("spec", [LoraSpec(rank=4), LoraSpec(rank=4, dora=True, train_fully=["lm_head"])])
def test_an_adapter_comes_back_with_the_same_logits(tmp_path, base, make_adapter, token_ids, spec):
    adapter = make_adapter(base, spec)
    model = load_model(adapter)
    assert not model.training
    assert not trained(model)
    assert (model(token_ids).logits - load_model(base)(token_ids).logits).abs().max() > 1e-2

    save_adapter(model, tmp_path / "again", input_at(base))
    assert torch.equal(load_model(tmp_path / "again")(token_ids).logits, model(token_ids).logits)


def test_an_adapter_is_saved_to_the_same_bytes(tmp_path, base, make_adapter):
    first, second = (make_adapter(base, LoraSpec(rank=4), name) for name in ("first", "second"))
    for file in ("adapter_config.json", "adapter_model.safetensors"):
        assert (first / file).read_bytes() == (second / file).read_bytes()


def test_the_artifacts_own_base_goes_before_what_peft_wrote(tmp_path, base, make_adapter, token_ids):
    adapter = make_adapter(base, LoraSpec(rank=4))
    moved = base.rename(tmp_path / "moved")
    error = refusal("model.not-found", lambda: load_model(adapter))
    assert str(base) in error.what

    source = Input("step:sft", "adapter", adapter, inputs={"base": input_at(moved)})
    assert base_of(source) == input_at(moved)
    load_model(source)(token_ids)


def test_a_base_from_the_hub_is_written_down_by_name(tmp_path, base):
    model = attach_lora(load_model(base), LoraSpec(rank=4))
    save_adapter(model, tmp_path / "adapter", Input("hub:Qwen/Qwen3-0.6B@abc123", "model", base))
    config = json.loads((tmp_path / "adapter/adapter_config.json").read_text())
    assert (config["base_model_name_or_path"], config["revision"]) == ("Qwen/Qwen3-0.6B", "abc123")


def test_an_adapter_may_stand_on_an_adapter(tmp_path, base, make_adapter, token_ids):
    first = make_adapter(base, LoraSpec(rank=4), "first")
    second = make_adapter(first, LoraSpec(rank=2), "second", seed=1)

    on_both = load_model(second)

    merged = load_model(first).merge_and_unload()
    merged.save_pretrained(tmp_path / "plain")
    plain = Input("x", "adapter", second, inputs={"base": input_at(tmp_path / "plain")})
    assert torch.equal(on_both(token_ids).logits, load_model(plain)(token_ids).logits)


@pytest.mark.parametrize("other", [{"hidden_size": 64}, {"num_hidden_layers": 3}, {"num_hidden_layers": 1}])
def test_an_adapter_of_another_model_is_refused(tmp_path, base, make_adapter, other):
    adapter = make_adapter(base, LoraSpec(rank=4))
    wrong = Input("x", "adapter", adapter, inputs={"base": input_at(tiny_model(tmp_path / "other", **other))})
    refusal("model.wrong-adapter", lambda: load_model(wrong))


def test_an_adapter_of_another_family_is_refused(tmp_path, base, make_adapter):
    adapter = make_adapter(base, LoraSpec(rank=4))
    wrong = Input("x", "adapter", adapter, inputs={"base": input_at(tiny_model(tmp_path / "other", "gpt2"))})
    refusal("model.wrong-adapter", lambda: load_model(wrong))


def test_a_pickled_or_torn_adapter_is_refused(base, make_adapter):
    adapter = make_adapter(base, LoraSpec(rank=4))
    weights = adapter / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    refusal("model.broken", lambda: load_model(adapter))
    weights.unlink()
    refusal("model.broken", lambda: load_model(adapter))
    torch.save({}, adapter / "adapter_model.bin")
    refusal("model.pickle", lambda: load_model(adapter))


def test_a_rank_above_every_adapted_matrix_is_a_warning_with_the_number(base):
    model = load_model(base)
    targets = plan_targets(model, LoraSpec()).modules
    weights = [module.weight for name, module in model.named_modules() if name.rpartition(".")[2] in targets]
    most = max(min(weight.shape) for weight in weights)
    assert excess_rank(attach_lora(model, LoraSpec(rank=most)), most) is None
    note = excess_rank(attach_lora(load_model(base), LoraSpec(rank=most + 1)), most + 1)
    assert note.level == "warning"
    assert f"method.rank {most + 1} exceeds the smaller side of every adapted weight (at most {most})" in note.text
