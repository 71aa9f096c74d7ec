"""Every family that transformers can build small takes the default adapter, saves it, loads it and merges it.

Families with stacked experts get an adapter on those too. What cannot be done is named here, each with its reason; a
test holds these lists true. The runs share nothing but the code: a family that breaks names itself.
"""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel

from burnish.core.errors import ModelError
from burnish.core.events import Note
from burnish.models.adapters.attach import attach_lora, save_adapter
from burnish.models.adapters.targets import LoraTargets, plan_targets, stacked_experts
from burnish.models.load import load_model
from burnish.models.merge import merge_adapter
from burnish.models.quiet import quiet_transformers
from burnish.specs.train import LoraSpec
from burnish.stages.train.training import with_method
from burnish.testing import input_at, temporary_context
from burnish.train.kernels.lora import FusedLora
from families import BUILDABLE, build, save, thinned, token_ids

NOT_LOADED = {
    "emu3": "transformers saves its text model under a type that it does not load as a causal language model",
    "mllama": "transformers saves its text model under a type that it does not load as a causal language model",
}
NOT_MERGED = {
    "inkling2_text": "in a layout that is not supported (Interleave)",
    "zamba": "may share one with another layer",
}
"""What the refusal says."""
NOT_IN_STOCK_PEFT = {
    "inkling2_text": "PEFT 0.21.2 renames its attention layers as it loads, and drops what it renamed",
    "laguna": "PEFT 0.21.2 renames its shared experts as it loads, and drops what it renamed",
}
WITHOUT_GRADIENT = {"reformer": "its reversible layers take rows of exactly the product of axial_pos_shape in training"}
IDS = token_ids(2, 9)


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad(), quiet_transformers():
        return model(input_ids=IDS, use_cache=False).logits


def gradients_of(model: Any) -> list[torch.Tensor]:
    model.zero_grad()
    with quiet_transformers():
        model(input_ids=IDS, use_cache=False).logits.float().log_softmax(-1)[..., 7].sum().backward()
    return [weight.grad for weight in model.parameters() if weight.grad is not None]


@pytest.mark.some(every=2)
@pytest.mark.parametrize("family", thinned(set(BUILDABLE) - NOT_LOADED.keys(), first=0))
def test_a_family_takes_an_adapter_saves_it_loads_it_and_merges_it(family, tmp_path):
    base = save(family, tmp_path / "base")
    model: Any = load_model(base)
    spec = LoraSpec(rank=4, experts=bool(stacked_experts(model)))
    before = logits(model)

    with quiet_transformers():
        plan = plan_targets(model, spec)
        expected_targets = planned(plan, model)
        adapted = attach_lora(model, spec, plan)
    torch.testing.assert_close(logits(adapted.eval()), before, atol=1e-5, rtol=1e-5)
    assert trained(adapted) == expected_targets

    give_noise(adapted)
    if family not in WITHOUT_GRADIENT:
        gradients = gradients_of(adapted)
        assert any(gradient.abs().sum() > 0 for gradient in gradients)
        assert all(gradient.isfinite().all() for gradient in gradients)
        fused = FusedLora(adapted)
        torch.testing.assert_close(gradients_of(adapted), gradients, atol=1e-5, rtol=1e-3)
        fused.remove()

    with quiet_transformers():
        save_adapter(adapted, tmp_path / "adapter", input_at(base))
    expected = logits(adapted)
    assert (expected - before).abs().max() > 1e-4
    torch.testing.assert_close(logits(load_model(tmp_path / "adapter")), expected, atol=1e-5, rtol=1e-5)
    if family not in NOT_IN_STOCK_PEFT:
        with quiet_transformers():
            stock = PeftModel.from_pretrained(load_model(base), str(tmp_path / "adapter")).eval()
        torch.testing.assert_close(logits(stock), expected, atol=1e-5, rtol=1e-5)

    if family in NOT_MERGED:
        with pytest.raises(ModelError, match=re.escape(NOT_MERGED[family])):
            merge_adapter(tmp_path / "adapter", base, tmp_path / "merged")
        return
    merge_adapter(tmp_path / "adapter", base, tmp_path / "merged")
    torch.testing.assert_close(logits(load_model(tmp_path / "merged")), expected, atol=1e-4, rtol=1e-4)
    shutil.rmtree(tmp_path)


@pytest.mark.parametrize("family", NOT_LOADED)
def test_a_family_that_is_left_out_does_not_load_or_run(family, tmp_path):
    with pytest.raises((ModelError, RuntimeError)):
        logits(load_model(save(family, tmp_path)))


@pytest.mark.parametrize("family", NOT_IN_STOCK_PEFT)
def test_stock_peft_still_drops_part_of_these(family, tmp_path):
    """When this fails, PEFT has been repaired: take the family out of the list."""
    base = save(family, tmp_path / "base")
    with quiet_transformers():
        adapted = attach_lora(load_model(base), LoraSpec(rank=4)).eval()
        give_noise(adapted)
        save_adapter(adapted, tmp_path / "adapter", input_at(base))
        stock = PeftModel.from_pretrained(load_model(base), str(tmp_path / "adapter")).eval()
    assert (logits(stock) - logits(adapted)).abs().max() > 1e-3


def give_noise(model: Any) -> None:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)


def trained(model: Any) -> set[str]:
    """Modules, and parameters of modules, that hold an adapter."""
    from peft.tuners.lora.layer import LoraLayer, ParamWrapper

    found = set()
    for path, layer in model.base_model.model.named_modules():
        if isinstance(layer, ParamWrapper):
            found.add(f"{path.replace('.base_layer', '')}.{layer.parameter_name}")
        elif isinstance(layer, LoraLayer):
            found.add(f"{path}.weight")
    return found


def planned(plan: LoraTargets, model: Any) -> set[str]:
    """What the plan's names match by their ends, as PEFT matches them."""
    modules = [path for path, _ in model.named_modules()]
    weights = [path for path, _ in model.named_parameters(remove_duplicate=False)]
    return {f"{path}.weight" for path in ending(modules, plan.modules)} | ending(weights, plan.parameters)


def ending(paths: list[str], names: list[str]) -> set[str]:
    return {path for path in paths if any(path == name or path.endswith(f".{name}") for name in names)}


LEFT_OUT: Mapping[str, str] = {
    "mamba": "out_proj",
    "falcon_mamba": "dt_proj",
    "jamba": "dt_proj",
    "nemotron_h": "out_proj",
    "falcon_h1": "out_proj",
    "llama4_text": "router",
    "phimoe": "router",
    "bart": "k_proj",
    "gemma3": "out_proj",
}


@pytest.mark.parametrize("family", LEFT_OUT)
def test_layers_that_take_no_adapter_are_named_and_counted(family):
    with quiet_transformers():
        notes = plan_targets(build(family), LoraSpec()).report()
    [note] = [note for note in notes if "no adapter" in note.text and LEFT_OUT[family] in note.text]
    assert note.level == "warning"
    assert re.match(r"\d+ linear layers? takes? no adapter \(", note.text)


def test_names_are_short_where_they_are_exact():
    plan = plan_targets(build("qwen3"), LoraSpec())
    assert plan.modules == ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"]
    with quiet_transformers():
        vision = plan_targets(build("gemma3"), LoraSpec()).modules
    assert "gate_proj" in vision
    assert "q_proj" not in vision
    assert "language_model.layers.0.self_attn.q_proj" in vision


@pytest.mark.parametrize("family", ["mixtral", "qwen3_moe", "gpt_oss"])
def test_experts_that_stay_frozen_are_reported_with_their_share(family):
    model: Any = build(family)
    plan = plan_targets(model, LoraSpec())
    assert plan.covered / plan.total < 0.2
    assert plan.total == model.num_parameters()
    [note] = [note for note in plan.report() if "experts" in note.text]
    assert note.level == "warning"
    assert "gate_up_proj" in note.text
    assert "method.experts: true" in note.text

    with_experts = plan_targets(model, LoraSpec(experts=True))
    assert with_experts.frozen_experts == []
    assert with_experts.covered - plan.covered == plan.expert_parameters
    assert not [note for note in with_experts.report() if "not trained" in note.text]
    by_name = plan_targets(model, LoraSpec(targets=["q_proj", "gate_up_proj"]))
    assert (by_name.modules, by_name.parameters) == (["q_proj"], ["gate_up_proj"])


def test_a_training_says_what_its_adapter_covers(tmp_path):
    ctx, events = temporary_context(tmp_path)
    with_method(build("mixtral"), LoraSpec(), ctx)
    told = [event.text for event in events if isinstance(event, Note)]
    assert any("of the model's parameters" in text for text in told)
    assert any("experts" in text and "not trained" in text for text in told)


def test_experts_are_refused_where_they_cannot_be_trained():
    with pytest.raises(ModelError, match="no stacked experts"):
        plan_targets(build("qwen3"), LoraSpec(experts=True))
    for setting in ({"dropout": 0.1}, {"dora": True}):
        with pytest.raises(ValueError, match=next(iter(setting))):
            LoraSpec(experts=True, **setting)
        with pytest.raises(ModelError, match=next(iter(setting))):
            plan_targets(build("mixtral"), LoraSpec(targets=["gate_up_proj"], **setting))


def test_layers_that_peft_takes_for_experts_need_plain_lora(tmp_path):
    """DeepSeek's first layers are dense, and PEFT reads `gate_proj` as the experts of old files."""
    model: Any = build("deepseek_v3")
    assert plan_targets(model, LoraSpec()).parameters == ["down_proj.weight", "gate_proj.weight", "up_proj.weight"]
    plan = plan_targets(model, LoraSpec(dropout=0.1))
    assert plan.parameters == []
    assert any("gate_proj" in note.text and "dropout" in note.text for note in plan.report())


def test_an_expert_adapter_is_merged_in_bfloat16_and_from_several_files(tmp_path: Path):
    """Mixtral's files hold each expert's matrices apart; the model holds them stacked and joined."""
    with quiet_transformers():
        build("mixtral").bfloat16().save_pretrained(tmp_path / "base", max_shard_size=20_000)
    assert len(list((tmp_path / "base").glob("*.safetensors"))) > 2
    with quiet_transformers():
        adapted = attach_lora(load_model(tmp_path / "base"), LoraSpec(rank=2, experts=True)).eval()
        give_noise(adapted)
        save_adapter(adapted, tmp_path / "adapter", input_at(tmp_path / "base"))
    merge_adapter(tmp_path / "adapter", tmp_path / "base", tmp_path / "merged", dtype="float32")
    merged = load_model(tmp_path / "merged").state_dict()
    theirs: Any = load_model(tmp_path / "adapter", dtype=torch.float32)
    for name, tensor in theirs.merge_and_unload().state_dict().items():
        torch.testing.assert_close(merged[name], tensor, atol=1e-6, rtol=1e-5)
