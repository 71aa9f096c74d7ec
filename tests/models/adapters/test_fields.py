"""Every field of PEFT's LoRA config acts in loading and merging as it does in PEFT, is refused, or has no effect."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model

from burnish.core.errors import ModelError
from burnish.models.load import load_model, quiet_transformers
from burnish.models.merge import merge_adapter
from burnish.testing import tiny_model

Q, V, DOWN = "q_proj", "v_proj", "down_proj"
pytestmark = pytest.mark.filterwarnings("ignore:.*have invalid shape")  # PEFT, of the biases of B, which it loads
ACTING: dict[str, dict[str, Any]] = {
    "r": {"r": 2},
    "lora_alpha": {"lora_alpha": 3},
    "rank_pattern": {"rank_pattern": {Q: 1, r"layers\.1\.mlp\.down_proj": 6}},
    "alpha_pattern": {"alpha_pattern": {V: 40, r"^model\.layers\.0\..*down_proj": 2}},
    "use_rslora": {"use_rslora": True},
    "use_dora": {"use_dora": True},
    "target_modules": {"target_modules": [Q, "embed_tokens"]},
    "exclude_modules": {"exclude_modules": [r"model.layers.0.self_attn.q_proj"]},
    "layers_to_transform": {"layers_to_transform": [1]},
    "layers_pattern": {"layers_to_transform": [1], "layers_pattern": "layers"},
    "modules_to_save": {"modules_to_save": ["lm_head", "embed_tokens"]},
    "target_parameters": {"target_modules": [Q], "target_parameters": ["o_proj.weight"]},
    "trainable_token_indices": {"trainable_token_indices": [3, 7, 100]},
    "bias": {"bias": "all"},
    "lora_bias": {"lora_bias": True, "target_modules": [Q, V]},
}
"""Another value for each field that changes the model, with what it needs."""
TOGETHER: dict[str, dict[str, Any]] = {
    "both patterns": ACTING["rank_pattern"] | ACTING["alpha_pattern"],
    "both patterns, rslora": ACTING["rank_pattern"] | ACTING["alpha_pattern"] | {"use_rslora": True},
    "tokens of both ends": {"trainable_token_indices": {"embed_tokens": [3, 7], "lm_head": [9]}},
    "both patterns, dora": ACTING["rank_pattern"] | ACTING["alpha_pattern"] | {"use_dora": True},
    "biases of adapted layers": {"bias": "lora_only"},
    "biases of both kinds of DoRA": {"bias": "all", "use_dora": True},
    "patterns of an embedding": {
        "target_modules": [Q, "embed_tokens"],
        "rank_pattern": {"embed_tokens": 3},
        "alpha_pattern": {"embed_tokens": 30},
    },
}
REFUSED: dict[str, Any] = {
    "use_qalora": True,
    "use_bdlora": {"target_modules_bd_a": []},
    "layer_replication": [[0, 2]],
    "alora_invocation_tokens": [5],
    "arrow_config": {"top_k": 1},
    "kasa_config": {"beta": 1.0},
    "velora_config": {"rank": 1},
    "monteclora_config": {"sample": 1},
    "ensure_weight_tying": True,
}
"""A value with which a merge would have to compute something else."""
WITHOUT_EFFECT = {
    *("task_type", "peft_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision"),
    *("inference_mode", "lora_dropout", "init_lora_weights", "runtime_config", "megatron_config", "megatron_core"),
    *("loftq_config", "eva_config", "corda_config", "lora_ga_config", "qalora_group_size"),
    "fan_in_fan_out",  # PEFT corrects it by the layer; tests of GPT-2 show it
}
USUAL: dict[str, Any] = {"r": 4, "lora_alpha": 12, "target_modules": [Q, V, DOWN]}


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("base"), tie_word_embeddings=False, attention_bias=True)


def made_by_peft(base: Path, folder: Path, **settings: Any) -> Path:
    """An adapter that PEFT itself made and saved, every weight with noise."""
    with quiet_transformers(), torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        model = get_peft_model(load_model(base), LoraConfig(**(USUAL | settings)))
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn(weight.shape) * 0.05)
        model.save_pretrained(str(folder), save_embedding_layers=False)
    return folder


def logits(model: Any, token_ids: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(token_ids).logits


def test_every_field_of_peft_has_its_place_here():
    known = {field.name for field in fields(LoraConfig)}
    assert known == ACTING.keys() | REFUSED.keys() | WITHOUT_EFFECT
    assert len(known) == len(ACTING) + len(REFUSED) + len(WITHOUT_EFFECT)


@pytest.mark.parametrize("settings", (ACTING | TOGETHER).values(), ids=(ACTING | TOGETHER).keys())
def test_a_field_acts_in_loading_and_merging_as_in_peft(tmp_path, base, token_ids, settings):
    adapter = made_by_peft(base, tmp_path / "adapter", **settings)
    with quiet_transformers():
        expected = logits(PeftModel.from_pretrained(load_model(base), str(adapter)), token_ids)

    assert torch.equal(logits(load_model(adapter), token_ids), expected)

    merge_adapter(adapter, base, tmp_path / "merged")
    torch.testing.assert_close(logits(load_model(tmp_path / "merged"), token_ids), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("field", ACTING)
def test_each_of_these_fields_has_an_effect_to_be_missed(tmp_path, base, token_ids, field):
    adapter = made_by_peft(base, tmp_path / "adapter", **ACTING[field])
    before = logits(load_model(adapter), token_ids)
    file = adapter / "adapter_config.json"
    config = json.loads(file.read_text())
    usual = USUAL.get(field, {} if field in ("rank_pattern", "alpha_pattern") else None)
    file.write_text(json.dumps(config | {field: usual}))
    if field == "layers_pattern":  # PEFT finds the usual names of lists of layers without it
        assert torch.equal(logits(load_model(adapter), token_ids), before)
    elif field in ("lora_alpha", "alpha_pattern", "use_rslora"):
        assert (logits(load_model(adapter), token_ids) - before).abs().max() > 1e-3
    else:
        with pytest.raises(ModelError):  # names or shapes in the file are others
            load_model(adapter)


@pytest.mark.parametrize("field", REFUSED)
def test_a_field_that_asks_for_another_formula_is_refused_by_name(tmp_path, base, field):
    adapter = made_by_peft(base, tmp_path / "adapter")
    file = adapter / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {field: REFUSED[field]}))
    with pytest.raises(ModelError, match=field) as caught:
        merge_adapter(adapter, base, tmp_path / "merged")
    assert caught.value.code == "model.wrong-adapter"


@pytest.mark.filterwarnings("ignore::FutureWarning")  # PEFT asks transformers by names that have gone old
def test_patterns_act_on_stacked_experts_as_in_peft(tmp_path, token_ids):
    sizes = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "decoder_sparse_step": 1}
    base = tiny_model(tmp_path / "base", "qwen3_moe", **sizes)
    experts = ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]
    for number, patterns in enumerate(
        (
            {"alpha_pattern": {"experts": 50, Q: 2}},
            {"rank_pattern": {Q: 2}, "alpha_pattern": {r"layers\.0\.mlp\.experts": 1}},
        )
    ):
        settings = {"target_modules": [Q], "target_parameters": experts, **patterns}
        adapter = made_by_peft(base, tmp_path / f"adapter{number}", **settings)
        with quiet_transformers():
            expected = logits(PeftModel.from_pretrained(load_model(base), str(adapter)), token_ids)
        torch.testing.assert_close(logits(load_model(adapter), token_ids), expected, atol=1e-5, rtol=1e-5)
        merge_adapter(adapter, base, tmp_path / f"merged{number}")
        merged = logits(load_model(tmp_path / f"merged{number}"), token_ids)
        torch.testing.assert_close(merged, expected, atol=1e-5, rtol=1e-5)
