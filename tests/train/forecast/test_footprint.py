"""The estimate of memory against peaks that were measured, and against the bytes that are there for each parameter."""

import numpy as np
import pytest
import torch
from transformers import AutoConfig

from burnish.models.adapters.attach import attach_lora
from burnish.models.load import quiet_transformers
from burnish.models.probing import causal_model
from burnish.specs.train import AdamWSpec, LoraSpec
from burnish.train.batches import TokenisedRows, make_batch
from burnish.train.forecast.footprint import Footprint, ModelShape
from burnish.train.optim.optimizers import Optimizer
from burnish.train.ready import recompute_activations
from burnish.train.scoring import Scorer
from families import build
from peak_memory import peak_memory

NARROW = {"hidden_size": 128, "intermediate_size": 1024, "num_hidden_layers": 4, "vocab_size": 512}
WIDE = {"hidden_size": 256, "intermediate_size": 768, "num_hidden_layers": 3, "vocab_size": 512}
LARGE_HEAD = {"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2, "vocab_size": 8192}
HEADS = {"num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 32}
SHAPES = {
    "narrow": ("llama", NARROW),
    "wide": ("llama", WIDE),
    "a large head": ("llama", LARGE_HEAD),
    "norms of queries and keys": ("qwen3", {**WIDE, "layer_types": ["full_attention"] * 3}),
    "a mixture of experts": ("mixtral", {**WIDE, "intermediate_size": 256}),
}


def measured(family, sizes, dtype, lora, checkpointing, tokens):
    """(bytes at the peak of two steps, the estimate's shape, weights that are trained)."""
    with quiet_transformers():
        model = build(family, **HEADS, **sizes).to(dtype)
        shape = ModelShape.of(model.config)
        model = attach_lora(model, LoraSpec(rank=4)) if lora else model.requires_grad_(True)
        for weight in model.parameters():
            weight.data = weight.data.to(dtype)
        if checkpointing:
            recompute_activations(model)
        scorer, optimizer = Scorer(model), Optimizer(model, AdamWSpec())
    random = np.random.default_rng(0)
    rows = TokenisedRows.of(
        (str(n), random.integers(4, 200, 64).astype(np.int32), np.ones(64, np.float32)) for n in range(tokens // 64)
    )
    batch = make_batch(rows, np.arange(len(rows)))
    model.train()
    held = [*causal_model(model).parameters(), *model.buffers(), *optimizer.masters.values()]
    with peak_memory(held) as peak:
        for _ in range(2):
            scorer(batch, 1.0)[0].backward()
            optimizer.gather()
            optimizer.clip(1.0)
            optimizer.step(1e-3)
            optimizer.zero_grad()
    return peak.bytes, shape, sum(weight.numel() for weight in optimizer.masters.values())


@pytest.mark.some
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("method", ["full", "lora"])
@pytest.mark.parametrize("kind", SHAPES)
def test_the_estimate_is_at_most_half_more_than_the_measured_peak_and_not_below_it(kind, method, dtype):
    family, sizes = SHAPES[kind]
    peak, shape, trained = measured(family, sizes, dtype, method == "lora", False, 512)
    estimate = Footprint(shape, dtype, trained, checkpointing=False).peak(512)
    assert 0.95 < estimate / peak < 1.5


@pytest.mark.parametrize("method", ["full", "lora"])
def test_the_estimate_holds_where_activations_are_computed_again(method):
    sizes = {**WIDE, "num_hidden_layers": 8}
    peak, shape, trained = measured("llama", sizes, torch.bfloat16, method == "lora", True, 1024)
    again = Footprint(shape, torch.bfloat16, trained, checkpointing=True)
    assert 0.95 < again.peak(1024) / peak < 1.5
    assert Footprint(shape, torch.bfloat16, trained, checkpointing=False).peak(1024) > 1.2 * peak


LARGE = ModelShape(8_000_000_000, 36, 4096, 12288, 6144, 151_936)


def test_full_fine_tuning_in_bfloat16_needs_20_bytes_a_parameter_and_18_where_gradients_are_freed():
    every = LARGE.parameters
    assert Footprint(LARGE, torch.bfloat16, every, True).peak(1) == 20 * every
    freed = Footprint(LARGE, torch.bfloat16, every, True, frees_gradients=True)
    assert 18 * every < freed.peak(1) < 18.6 * every  # and the gradient of the head
    assert 16 * every < Footprint(LARGE, torch.float32, every, True).peak(1) < 16.7 * every
    frozen = Footprint(LARGE, torch.bfloat16, 0, True)
    assert frozen.held == 2 * every


def test_logits_are_counted_for_a_chunk_and_no_more():
    footprint = Footprint(LARGE, torch.bfloat16, 1, False)
    assert footprint.head(1024) == footprint.head(100_000) == 1024 * 151_936 * 8
    assert footprint.head(10) == 10 * 151_936 * 8


@pytest.mark.parametrize("memory", [16e9, 17e9, 40e9, 141e9])
def test_the_largest_micro_batch_is_the_last_whose_peak_fits(memory):
    footprint = Footprint(LARGE, torch.bfloat16, 1, False)
    tokens = footprint.tokens_within(memory)
    assert tokens == 0 or footprint.peak(tokens) <= memory
    assert footprint.peak(tokens + 1) > memory


def test_widths_are_read_off_the_config_of_a_mixture_of_experts():
    config = AutoConfig.for_model(
        "qwen3_moe", hidden_size=64, num_attention_heads=4, num_key_value_heads=2, head_dim=32, num_hidden_layers=2,
        intermediate_size=96, moe_intermediate_size=80, num_experts_per_tok=4, num_experts=8, vocab_size=100,
    )  # fmt: skip
    shape = ModelShape.of(config)
    assert (shape.intermediate, shape.attention, shape.vocabulary) == (320, 256, 100)
