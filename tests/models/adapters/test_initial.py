"""Initialisations of an adapter: the model starts as its base, and the saved adapter is a plain one."""

import json

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file

from burnish.core.errors import ModelError
from burnish.models.adapters.attach import attach_lora, save_adapter
from burnish.models.adapters.initial import FROM_BASE, fixed_matrices
from burnish.models.load import load_model
from burnish.models.merge import merge_adapter
from burnish.specs.train import LoraSpec
from burnish.testing import input_at, tiny_model

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # PEFT uses deprecated names of transformers
INITS = ["gaussian", "orthogonal", *FROM_BASE]
FAMILIES = ["qwen3", "gpt2"]


def attached(base, init, dtype=torch.float32, **settings):
    torch.manual_seed(0)
    return attach_lora(load_model(base, dtype=dtype), LoraSpec(**{"rank": 4, "init": init, **settings})).eval()


def train(model, size=0.05):
    """Noise on every trained weight, as a training of many steps leaves it."""
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn(weight.shape) * size)
    return model


def off(ours, theirs):
    ours, theirs = ours.detach().float(), theirs.detach().float()
    return float((ours - theirs).norm() / theirs.norm())


@pytest.mark.some
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("init", INITS)
def test_a_fresh_adapter_leaves_the_outputs_as_they_are(tmp_path, token_ids, init, family, dtype):
    base = tiny_model(tmp_path, family, initializer_range=0.2)
    before = load_model(base, dtype=dtype)(token_ids).logits
    rounding = off(before, load_model(base)(token_ids).logits)
    found = off(attached(base, init, dtype)(token_ids).logits, before)
    if init == "orthogonal":  # PEFT rounds its matrices to the dtype of the base
        assert found < (1e-5 if dtype == torch.float32 else rounding)
    else:
        assert found < 2e-6


@pytest.mark.parametrize("rslora", [False, True])
@pytest.mark.parametrize("init", ["pissa", "olora"])
def test_the_matrices_and_the_outputs_are_those_of_peft(tmp_path, token_ids, init, rslora):
    base = tiny_model(tmp_path, initializer_range=0.2)
    ours = attached(base, init, rslora=rslora, targets=["q_proj", "down_proj"])
    torch.manual_seed(0)
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=4,
        lora_alpha=8,
        use_rslora=rslora,
        target_modules=["q_proj", "down_proj"],
        init_lora_weights=FROM_BASE[init],
    )
    theirs = get_peft_model(load_model(base), config).eval()
    expected = {name: weight for name, weight in theirs.named_parameters() if ".lora_" in name}
    found = {name: weight for name, weight in ours.named_parameters() if ".lora_" in name}
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    for model in (ours, theirs):
        train(model)
    assert off(ours(token_ids).logits, theirs(token_ids).logits) < 1e-5


def test_the_fast_decomposition_finds_nearly_the_largest_singular_values(tmp_path):
    base = tiny_model(tmp_path, initializer_range=0.2)
    exact, fast = (fixed_matrices(attached(base, init)) for init in ("pissa", "pissa_niter"))
    for name in exact:
        share = float(fast[name].norm() / exact[name].norm())
        assert 0.99 < share < 1.001
        assert not torch.equal(fast[name], exact[name])


@pytest.mark.some
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("init", INITS)
def test_a_trained_adapter_is_saved_loaded_and_merged_as_it_was(tmp_path, token_ids, init, family, dtype):
    base = tiny_model(tmp_path / "base", family, initializer_range=0.2)
    model = train(attached(base, init, dtype, rslora=True))
    expected = model(token_ids).logits
    assert off(expected, load_model(base, dtype=dtype)(token_ids).logits) > 0.05
    save_adapter(model, tmp_path / "adapter", input_at(base))
    tolerance = 3e-6 if dtype == torch.float32 else 5e-3
    assert off(load_model(tmp_path / "adapter", dtype=dtype)(token_ids).logits, expected) < tolerance
    merge_adapter(tmp_path / "adapter", base, tmp_path / "merged")
    exact = load_model(tmp_path / "adapter")(token_ids).logits
    assert off(load_model(tmp_path / "merged")(token_ids).logits, exact) < 3e-6


def test_the_saved_adapter_is_a_plain_one_for_peft_too(tmp_path, token_ids):
    base = tiny_model(tmp_path / "base", initializer_range=0.2)
    model = train(attached(base, "pissa"))
    save_adapter(model, tmp_path / "adapter", input_at(base))
    settings = json.loads((tmp_path / "adapter/adapter_config.json").read_text())
    assert (settings["r"], settings["lora_alpha"], settings["init_lora_weights"]) == (8, 16, True)
    assert not any("initial" in name for name in load_file(tmp_path / "adapter/adapter_model.safetensors"))
    theirs = PeftModel.from_pretrained(load_model(base), tmp_path / "adapter")
    assert off(theirs(token_ids).logits, model(token_ids).logits) < 3e-6


@pytest.mark.parametrize("init", FROM_BASE)
def test_switched_off_the_adapter_is_the_base_and_the_fixed_matrices_stay_fixed(tmp_path, token_ids, init):
    base = tiny_model(tmp_path, initializer_range=0.2)
    model = attached(base, init)
    plain = load_model(base)
    with model.disable_adapter():
        assert torch.equal(model(token_ids).logits, plain(token_ids).logits)
    fixed = fixed_matrices(model)
    assert len(fixed) == 2 * 7 * 2
    model(input_ids=token_ids, labels=token_ids).loss.backward()
    assert not any(matrix.requires_grad for matrix in fixed.values())
    trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert len(trained) == len(fixed)
    assert all(weight.grad is not None for name, weight in model.named_parameters() if name in trained)
    merged = dict(train(model).merge_and_unload().named_parameters())
    assert not torch.equal(merged["model.layers.0.mlp.up_proj.weight"], plain.model.layers[0].mlp.up_proj.weight)


@pytest.mark.parametrize("init", FROM_BASE)
def test_a_rank_above_the_size_of_a_layer_is_padded(tmp_path, token_ids, init):
    base = tiny_model(tmp_path / "base", initializer_range=0.2)
    model = attached(base, init, rank=24)  # k_proj is 16 × 32
    before = load_model(base)(token_ids).logits
    assert off(model(token_ids).logits, before) < 2e-6
    save_adapter(train(model), tmp_path / "adapter", input_at(base))
    assert off(load_model(tmp_path / "adapter")(token_ids).logits, model(token_ids).logits) < 3e-6


@pytest.mark.parametrize("init", FROM_BASE)
@pytest.mark.parametrize(("field", "value"), [("dora", True), ("dropout", 0.1), ("experts", True)])
def test_settings_that_do_not_go_together_are_refused_by_name(init, field, value):
    with pytest.raises(ValueError, match="cannot be combined with") as caught:
        LoraSpec(init=init, **{field: value})
    assert field in str(caught.value)
    assert f"init: {init}" in str(caught.value)


def test_an_odd_rank_cannot_be_orthogonal():
    with pytest.raises(ValueError, match="init: orthogonal needs an even rank, not 5"):
        LoraSpec(init="orthogonal", rank=5)


@pytest.mark.parametrize("init", INITS)
def test_an_embedding_is_refused(tmp_path, init):
    with pytest.raises(ModelError, match=f"combined with init: {init}: 'model.embed_tokens' is no linear") as caught:
        attached(tiny_model(tmp_path), init, targets=["embed_tokens", "q_proj"])
    assert caught.value.code == "model.unknown-target"


@pytest.mark.parametrize("init", INITS[1:])
def test_stacked_experts_are_refused(tmp_path, init):
    sizes = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "decoder_sparse_step": 1}
    base = tiny_model(tmp_path, "qwen3_moe", **sizes)
    with pytest.raises(ModelError, match=f"experts cannot be trained with init: {init}"):
        attached(base, init, targets=["q_proj", "gate_up_proj"])
