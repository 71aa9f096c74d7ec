"""The shape of a model and the memory of a training, as numbers counted by hand."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn
from transformers import AutoConfig

from burnish.train.forecast.footprint import Footprint, ModelShape, _learns_positions, _number

SHAPE = ModelShape(parameters=1000, layers=5, hidden=10, intermediate=7, attention=3, vocabulary=11)
HALF, FULL = torch.bfloat16, torch.float32


def footprint(dtype, trained, **others) -> Footprint:
    return Footprint(SHAPE, dtype, trained, **({"checkpointing": False} | others))


@pytest.mark.parametrize(
    ("dtype", "trained", "held"),
    [
        (FULL, 0, 4000),
        (FULL, 20, 4000 + 20 * (4 + 8)),  # gradient and states: the weight is its own master
        (HALF, 0, 2000),
        (HALF, 20, 2000 + 20 * (4 + 4 + 8)),
        (torch.float16, 1000, 2000 + 1000 * 16),
    ],
)
def test_what_is_held_for_all_batches_is_the_weights_and_what_each_trained_one_needs(dtype, trained, held):
    for others in ({}, {"checkpointing": True}, {"frees_gradients": True}):
        assert footprint(dtype, trained, **others).held == held


@pytest.mark.parametrize(
    ("dtype", "kept", "again"),
    [
        # hidden: 12 + 3 sizes, attention: 8 + 3 sizes, the MLP: 4 sizes; in each of 5 layers
        (FULL, 5 * (10 * 24 + 3 * 20 + 7 * 16), 5 * 10 * 4 + (10 * 24 + 3 * 20 + 7 * 16)),
        (HALF, 5 * (10 * 18 + 3 * 14 + 7 * 8), 5 * 10 * 2 + (10 * 18 + 3 * 14 + 7 * 8)),
    ],
)
def test_a_token_keeps_all_layers_or_their_inputs_and_one_layer(dtype, kept, again):
    assert footprint(dtype, 1).token == kept
    assert footprint(dtype, 1, checkpointing=True).token == again


@pytest.mark.parametrize(("dtype", "of_logit", "of_head"), [(FULL, 4, 8), (HALF, 8, 6)])
def test_the_head_keeps_a_chunk_of_logits_and_its_own_gradient_if_all_is_trained(dtype, of_logit, of_head):
    for tokens, counted in ((1, 1), (1023, 1023), (1024, 1024), (1025, 1024), (9999, 1024)):
        logits = counted * 11 * of_logit
        assert footprint(dtype, 999).head(tokens) == logits
        assert footprint(dtype, 1000).head(tokens) == footprint(dtype, 1001).head(tokens) == logits + 110 * of_head


@pytest.mark.parametrize(
    ("dtype", "frees", "trained", "tokens", "beyond"),
    [
        (FULL, False, 999, 2, 2 * 2060 + 2 * 44),
        (FULL, True, 1000, 3, 3 * 2060 + 3 * 44 + 880),
        (HALF, True, 999, 1, 1390 + 88),
        (HALF, False, 999, 1, 999 * 2),  # the weights' own gradients are larger than the activations
        (HALF, False, 739, 1, 1390 + 88),
        (HALF, False, 740, 1, 1480),
        (HALF, False, 999, 2, 2 * 1390 + 176),
    ],
)
def test_the_peak_is_what_is_held_and_the_larger_of_activations_and_own_gradients(
    dtype, frees, trained, tokens, beyond
):
    found = footprint(dtype, trained, frees_gradients=frees)
    assert found.peak(tokens) == found.held + beyond
    if not frees:
        assert Footprint(SHAPE, dtype, trained, False).peak(tokens) == found.peak(tokens)


def test_the_largest_micro_batch_is_found_at_every_boundary():
    found = footprint(FULL, 20)
    for tokens in (1, 2, 3, 1023, 1024, 1025):
        peak = 4240 + tokens * 2060 + min(tokens, 1024) * 44
        assert found.peak(tokens) == peak
        assert [found.tokens_within(memory) for memory in (peak - 1, peak, peak + 1)] == [tokens - 1, tokens, tokens]
    assert found.tokens_within(4240) == 0
    assert found.tokens_within(1e18) == 1_048_576
    assert [found.tokens_within(1e18, most=most) for most in (1, 2, 7)] == [1, 2, 7]


COMMON = {"hidden_size": 64, "num_hidden_layers": 3, "vocab_size": 100, "intermediate_size": 96}
FOUR = {"num_attention_heads": 4, "num_key_value_heads": 4}
THREE = {"num_attention_heads": 3, "num_key_value_heads": 3, "hidden_size": 66}
SIZED = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32}
GPT2 = {"n_head": 4, "n_positions": 50, "intermediate_size": None}
EXPERTS = {"moe_intermediate_size": 30}
# family, settings: (intermediate, attention, context, whether positions are learned)
SHAPES = {
    "heads share keys": ("llama", {"num_attention_heads": 8, "num_key_value_heads": 2}, (96, 96, 2048, False)),
    "one key": ("llama", {"num_attention_heads": 8, "num_key_value_heads": 1}, (96, 80, 2048, False)),
    "a head size": ("qwen3", SIZED, (96, (4 + 4) * 32, 32768, False)),
    "one key for each head": ("gpt2", GPT2, (4 * 64, 3 * 64, 50, True)),
    "an odd number of heads": ("llama", THREE, (96, 9 * 22, 2048, False)),
    "no heads": ("mamba", {}, (96, 3 * 64, None, False)),
    "one large expert": ("llama", FOUR | {"moe_intermediate_size": 200}, (200, 192, 2048, False)),
    "many experts": ("llama", FOUR | EXPERTS | {"num_experts_per_tok": 5}, (150, 192, 2048, False)),
    "few experts": ("llama", FOUR | EXPERTS | {"num_experts_per_tok": 3}, (96, 192, 2048, False)),
    "experts of one size": ("llama", FOUR | {"intermediate_size": 2, "num_experts_per_tok": 5}, (2, 192, 2048, False)),
}


@pytest.mark.parametrize("kind", SHAPES)
def test_the_widths_of_a_model_are_those_of_its_config(kind):
    family, settings, expected = SHAPES[kind]
    config = AutoConfig.for_model(family, **(COMMON | settings))
    shape = ModelShape.of(config)
    assert (shape.intermediate, shape.attention, shape.context, shape.learned_positions) == expected
    assert (shape.layers, shape.vocabulary) == (3, 100)
    assert shape.hidden == config.hidden_size


@pytest.mark.parametrize(("value", "number"), [(3, 3), (1, 1), (0, None), (-1, None), (None, None), ([4, 4], None)])
def test_a_width_is_a_positive_number_or_unknown(value, number):
    assert _number(SimpleNamespace(width=value), "width") == number
    assert _number(SimpleNamespace(), "width") is None


@pytest.mark.parametrize(
    ("path", "rows", "is_learned"),
    [
        ("wpe", 19, False),
        ("wpe", 20, True),
        ("wpe", 22, True),
        ("wpe", 23, False),
        ("inner.wpe", 21, True),
        ("inner.embed_positions", 20, True),
        ("inner.wte", 20, False),
        ("positions.table", 20, False),
        ("outer.positions.table", 20, False),
    ],
)
def test_an_embedding_of_positions_is_about_as_long_as_the_context(path, rows, is_learned):
    model = nn.Module()
    model.wte = nn.Embedding(500, 2)
    place = model
    *outer, name = path.split(".")
    for part in outer:
        place.add_module(part, nn.Module())
        place = getattr(place, part)
    place.add_module(name, nn.Embedding(rows, 2))
    assert _learns_positions(model, 20) is is_learned
    place.add_module(name, nn.Linear(rows, 2))
    assert _learns_positions(model, 20) is False


def test_a_shape_has_no_limit_of_positions_unless_one_is_given():
    assert (SHAPE.context, SHAPE.learned_positions) == (None, False)
