"""Weights read one at a time are those of the loaded model, whatever its files look like."""

import gc
import weakref

import pytest
import torch
from safetensors.torch import load_file, save_file

from burnish.core.context import Input
from burnish.core.errors import ModelError
from burnish.models.adapters.attach import attach_lora, save_adapter, without_adapter
from burnish.models.adapters.changes import _stacked
from burnish.models.load import load_model
from burnish.models.streaming import StreamedWeights
from burnish.specs.train import LoraSpec
from burnish.testing import tiny_model
from families import save

EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "decoder_sparse_step": 1}
FAMILIES = {
    "qwen3": {},
    "llama": {"tie_word_embeddings": True},
    "gpt2": {},
    "phi3": {},
    "gemma3_text": {},
    "qwen3_moe": EXPERTS,
    "mixtral": {"num_local_experts": 4},
}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("family", FAMILIES)
def test_each_weight_is_that_of_the_loaded_model(tmp_path, family, dtype):
    base = tiny_model(tmp_path / "base", family, tokenizer=False, dtype=dtype, **FAMILIES[family])
    streamed = StreamedWeights(base)
    loaded = dict(load_model(base, dtype=torch.float32).named_parameters(remove_duplicate=False))
    assert streamed.keys() == loaded.keys()
    for name, weight in loaded.items():
        assert streamed[name].dtype == torch.float32
        assert torch.equal(streamed[name], weight), name


def changed(file, change):
    """The weights of a file, after `change` of their dict."""
    weights = load_file(file)
    change(weights)
    save_file(weights, file, {"format": "pt"})


@pytest.mark.parametrize("merged", [False, True])
def test_a_head_with_values_of_its_own_is_not_tied_whatever_the_config_says(tmp_path, merged):
    base = tiny_model(tmp_path, "qwen3", tokenizer=False, tie_word_embeddings=True)
    head = torch.randn(264, 32)
    changed(tmp_path / "model.safetensors", lambda weights: weights.update({"lm_head.weight": head}))
    streamed = StreamedWeights(base, merged=merged)
    loaded = dict(load_model(base).named_parameters(remove_duplicate=False))
    assert streamed.is_untied
    assert torch.equal(loaded["lm_head.weight"], head)
    for name, weight in loaded.items():
        assert torch.equal(streamed[name], weight), name


def test_a_head_that_is_stored_beside_the_embedding_with_its_values_is_tied(tmp_path):
    base = tiny_model(tmp_path, "qwen3", tokenizer=False, tie_word_embeddings=True)
    file = tmp_path / "model.safetensors"
    changed(file, lambda weights: weights.update({"lm_head.weight": weights["model.embed_tokens.weight"].clone()}))
    assert not StreamedWeights(base, merged=True).is_untied


NORM = "model.layers.0.self_attn.k_norm.weight"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda weights: weights.pop(NORM), f"needs are missing, the first is '{NORM}'"),
        (lambda weights: weights.update(extra=torch.zeros(3)), "not part of the model"),
        (lambda weights: weights.update({NORM: torch.zeros(3)}), r"is \[3\] in the files, and \[8\] by config.json"),
        (lambda weights: weights[NORM].fill_(float("nan")), "8 of 8 values of .* are NaN or infinite"),
    ],
    ids=["missing", "extra", "shape", "nan"],
)
def test_damaged_files_are_refused_by_name(tmp_path, change, why):
    base = tiny_model(tmp_path, "qwen3", tokenizer=False)
    changed(tmp_path / "model.safetensors", change)
    with pytest.raises(ModelError, match=why):
        dict(StreamedWeights(base, merged=True))


REARRANGED = {
    "hrm_text": "one tensor of the files is split into several weights",
    "olmo_hybrid": "tensors are joined by rows",
    "kimi_linear": "tensors are joined by rows, and experts are stacked",
    "deepseek_v4": "a rule for other names also fits a name that is right",
    "laguna": "a rule for other names also fits a name that is right",
}


@pytest.mark.parametrize("family", REARRANGED)
def test_weights_that_the_files_hold_in_other_parts_are_put_together(tmp_path, family):
    base = save(family, tmp_path)
    streamed = StreamedWeights(base)
    loaded = dict(load_model(base, dtype=torch.float32).named_parameters(remove_duplicate=False))
    assert streamed.keys() == loaded.keys()
    for name, weight in loaded.items():
        assert torch.equal(streamed[name], weight), name


def adapter_on(base, folder, spec, **source):
    torch.manual_seed(0)
    model = attach_lora(load_model(base), spec)
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            weight.data.normal_(0, 0.1).add_(1.0 if "magnitude" in name else 0.0)
    save_adapter(model, folder, Input(f"file:{base}", "model", base))
    return folder


@pytest.mark.parametrize(
    "spec",
    [LoraSpec(rank=2), LoraSpec(rank=2, dora=True), LoraSpec(rank=2, train_fully=["lm_head"], targets=["q_proj"])],
    ids=["lora", "dora", "with a head"],
)
def test_adapters_are_merged_as_each_weight_is_read(tmp_path, spec):
    base = tiny_model(tmp_path / "base", "qwen3", tokenizer=False, dtype="bfloat16")
    adapter = adapter_on(base, tmp_path / "adapter", spec)
    upon = adapter_on(adapter, tmp_path / "upon", LoraSpec(rank=2))
    for source in (adapter, upon):
        merged = without_adapter(load_model(source, dtype=torch.float32))
        streamed = StreamedWeights(source)
        for name, weight in merged.named_parameters(remove_duplicate=False):
            assert torch.equal(streamed[name], weight), name


def test_what_cannot_be_followed_is_refused_and_not_guessed(tmp_path):
    tied = tiny_model(tmp_path / "tied", "qwen3", tokenizer=False, tie_word_embeddings=True)
    adapter = adapter_on(tied, tmp_path / "adapter", LoraSpec(rank=2, targets=["q_proj", "embed_tokens"]))
    with pytest.raises(ValueError, match="tied"):
        StreamedWeights(adapter)


def test_a_replaced_head_is_float32_whatever_its_file(tmp_path):
    base = tiny_model(tmp_path / "base", "qwen3", tokenizer=False, dtype="bfloat16")
    adapter = adapter_on(base, tmp_path / "adapter", LoraSpec(rank=2, train_fully=["lm_head"], targets=["q_proj"]))
    file = adapter / "adapter_model.safetensors"
    save_file({name: weight.bfloat16() for name, weight in load_file(file).items()}, file, {"format": "pt"})
    head = StreamedWeights(adapter)["lm_head.weight"]
    assert head.dtype == torch.float32
    assert torch.equal(head, load_file(file)["base_model.model.lm_head.weight"].float())


def test_the_matrices_of_experts_are_not_kept_between_weights(tmp_path):
    base = tiny_model(tmp_path / "base", "mixtral", tokenizer=False, num_local_experts=4)
    adapter = adapter_on(base, tmp_path / "adapter", LoraSpec(rank=2, experts=True))
    streamed = StreamedWeights(adapter)
    assert streamed["model.layers.0.mlp.experts.down_proj"].shape == (4, 32, 64)
    assert _stacked.cache_info().currsize == 0


def test_a_weight_is_not_kept_once_it_is_not_used(tmp_path):
    base = tiny_model(tmp_path / "base", "mixtral", tokenizer=False, num_local_experts=4)
    streamed, read = StreamedWeights(base), []
    for name in streamed:
        read.append(weakref.ref(streamed[name]))
    gc.collect()
    assert len(read) > 10
    assert all(weight() is None for weight in read)


def test_three_adapters_are_merged_from_the_lowest_up(tmp_path):
    """DoRA scales what lies below it, so the order is seen."""
    base = tiny_model(tmp_path / "base", "qwen3", tokenizer=False, dtype="bfloat16")
    source = base
    for number, spec in enumerate((LoraSpec(rank=2, dora=True), LoraSpec(rank=1), LoraSpec(rank=2, dora=True))):
        source = adapter_on(source, tmp_path / str(number), spec)
    merged = without_adapter(load_model(source, dtype=torch.float32))
    streamed = StreamedWeights(source)
    assert len(streamed) == len(list(streamed)) == len(dict(merged.named_parameters(remove_duplicate=False)))
    for name, weight in merged.named_parameters(remove_duplicate=False):
        assert torch.equal(streamed[name], weight), name


def test_a_model_with_weights_of_another_layout_or_dtype_is_refused(tmp_path):
    base = tiny_model(tmp_path / "base", "qwen3", tokenizer=False)
    tensors = load_file(base / "model.safetensors")
    name = "model.layers.1.mlp.down_proj.weight"

    def refused(**changed) -> str:
        save_file({**tensors, **changed}, base / "model.safetensors", {"format": "pt"})
        with pytest.raises(ValueError, match=str(base)) as caught:
            StreamedWeights(base)
        return str(caught.value)

    assert refused(**{name: tensors[name].T.contiguous()}) == (
        f"{base}: '{name}' has another layout in the files than in the model"
    )
    assert refused(**{name: tensors[name].to(torch.int8)}) == f"{base}: '{name}' is quantized"
    gone = {key: tensor for key, tensor in tensors.items() if key != name}
    save_file(gone, base / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match="has another layout"):
        StreamedWeights(base)


def test_one_expert_of_another_shape_or_dtype_is_seen(tmp_path):
    base = tiny_model(tmp_path / "base", "mixtral", tokenizer=False, num_local_experts=3)
    tensors = load_file(base / "model.safetensors")
    name = next(key for key in sorted(tensors) if key.endswith("experts.1.w2.weight"))
    for changed, what in ((tensors[name][:, :-1].contiguous(), "another layout"), (tensors[name].byte(), "quantized")):
        save_file({**tensors, name: changed}, base / "model.safetensors", {"format": "pt"})
        with pytest.raises(ValueError, match=what):
            StreamedWeights(base)
