"""Weights read one at a time are those of the loaded model, whatever its files look like."""

import gc
import weakref

import pytest
import torch

from burnish.core.context import Input
from burnish.models.adapters.attach import attach_lora, save_adapter, without_adapter
from burnish.models.load import load_model
from burnish.models.streaming import StreamedWeights
from burnish.specs.train import LoraSpec
from burnish.testing import tiny_model

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


def test_a_weight_is_not_kept_once_it_is_not_used(tmp_path):
    base = tiny_model(tmp_path / "base", "mixtral", tokenizer=False, num_local_experts=4)
    streamed, read = StreamedWeights(base), []
    for name in streamed:
        read.append(weakref.ref(streamed[name]))
    gc.collect()
    assert len(read) > 10
    assert all(weight() is None for weight in read)
