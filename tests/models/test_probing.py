"""The inputs of tests of a model, and what counts as agreement, each on configs and modules made for it."""

import pytest
import torch
from torch import nn
from transformers import PreTrainedConfig

from burnish.models.adapters.attach import attach_lora
from burnish.models.load import load_model
from burnish.models.probing import (
    after_head,
    beyond,
    boundaries,
    causal_model,
    distance,
    drops_attention,
    error_text,
    evaluating,
    gradient,
    has_experts,
    length_of_rope,
    not_drawing,
    off_by,
    random_ids,
    side_of_masks,
    some_trained,
    trunks,
)
from burnish.specs.train import LoraSpec
from burnish.testing import tiny_model


def config(**values):
    made = PreTrainedConfig()
    for name, value in values.items():
        setattr(made, name, value)
    return made


LONG = {"rope_type": "longrope", "original_max_position_embeddings": 32}


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({}, {}),
        *(({name: 5}, {name: 5}) for name in ("sliding_window", "attention_chunk_size", "local_attention", "topk")),
        *(({name: 5}, {name: 5}) for name in ("budget", "rel_extent", "block_size", "mem_len", "compress_ratio")),
        *(({name: 5}, {}) for name in ("window_layers", "window_pattern", "moe_topk", "topk_group", "heads", "size")),
        ({"chunk_size_feed_forward": 5}, {}),
        ({"window": 1}, {}),
        ({"window": 2}, {"window": 2}),
        ({"window": True}, {}),
        ({"window": 5.0}, {}),
        ({"window": "5"}, {}),
        ({"window": None}, {}),
        ({"windows": [4, 9, 2]}, {"windows": 9}),
        ({"windows": (4, 9, 2)}, {"windows": 9}),
        ({"inner": {"window": 7}}, {"window": 7}),
        ({"inner": {"window": 7}, "window": 5}, {"window": 7}),
        ({"inner": {"window": 5}, "window": 7}, {"window": 7}),
        ({"topk_blocks": 3, "block_size": 8}, {"topk_blocks": 24, "block_size": 8}),
        ({"budget": 3, "block_size": 4, "compress": 6}, {"budget": 18, "block_size": 4, "compress": 6}),
        ({"rope_parameters": LONG}, {"rope_parameters": 32}),
    ],
)
def test_boundaries_are_the_lengths_that_a_config_names(settings, found):
    assert boundaries(config(**settings)) == found


@pytest.mark.parametrize(
    ("settings", "length"),
    [
        ({}, None),
        ({"rope_parameters": None}, None),
        ({"rope_parameters": {}}, None),
        ({"rope_parameters": {"rope_type": "default", "original_max_position_embeddings": 32}}, None),
        ({"rope_parameters": {"rope_type": "yarn", "original_max_position_embeddings": 32}}, None),
        ({"rope_parameters": LONG, "max_position_embeddings": 64}, 32),
        ({"rope_parameters": {"rope_type": "longrope"}, "original_max_position_embeddings": 40}, 40),
        ({"rope_parameters": {"rope_type": "longrope"}}, None),
        ({"rope_parameters": {"rope_type": "dynamic"}, "max_position_embeddings": 64}, 64),
        ({"rope_parameters": {"rope_type": "dynamic", "max_position_embeddings": 48}}, 48),
        ({"rope_parameters": {"full": {"rope_type": "default"}, "window": LONG, "scale": 2}}, 32),
        ({"rope_parameters": {"a": LONG, "b": {**LONG, "original_max_position_embeddings": 16}}}, 16),
    ],
)
def test_rotary_angles_change_at_the_length_of_their_kind(settings, length):
    assert length_of_rope(config(**settings)) == length


def test_random_ids_are_plain_tokens_and_always_the_same():
    settings = {"vocab_size": 8, "eos_token_id": 2, "image_token_index": 5, "inner": {"x_token_id": [6, 7]}}
    rows = random_ids(config(**settings), [200, 3])
    assert [len(row) for row in rows] == [200, 3]
    assert set(rows[0].tolist()) == {0, 1, 3, 4}
    again = random_ids(config(**settings), [200, 3], seed=0)
    assert all(torch.equal(one, other) for one, other in zip(rows, again, strict=True))
    assert not torch.equal(random_ids(config(**settings), [200], seed=1)[0], rows[0])
    only_special = {"vocab_size": 2, "eos_token_id": 0, "pad_token_id": 1}
    assert set(random_ids(config(**only_special), [50])[0].tolist()) == {0, 1}


def test_an_error_is_one_line_and_memory_is_not_a_result():
    assert error_text(ValueError("first\nsecond")) == "ValueError: first"
    assert error_text(KeyError("key")) == "KeyError: 'key'"
    memory = MemoryError()
    with pytest.raises(MemoryError) as caught:
        error_text(memory)
    assert caught.value is memory


def test_a_distance_is_relative_to_the_second_tensor():
    assert distance(torch.tensor([3.0, 4.0]), torch.tensor([0.0, 2.0])) == pytest.approx(13**0.5 / 2)
    assert distance(torch.zeros(2), torch.zeros(2)) == 0
    assert distance(torch.tensor([1e-3]), torch.zeros(1)) > 1e10
    assert distance(torch.tensor([float("nan")]), torch.ones(1)) == float("inf")
    assert distance(torch.ones(1), torch.tensor([float("inf")])) == float("inf")
    half = torch.tensor([60000.0, 60000.0], dtype=torch.float16)
    assert distance(-half, half) == pytest.approx(2.0)
    assert distance(half, half.float()) == 0


def test_the_causal_model_is_the_one_inside_of_an_adapter(tmp_path):
    plain = load_model(tiny_model(tmp_path))
    assert causal_model(plain) is plain
    assert causal_model(attach_lora(plain, LoraSpec(rank=2))) is plain


def test_the_trunks_of_a_model_are_its_decoder_what_that_wraps_and_its_base(tmp_path):
    plain = load_model(tiny_model(tmp_path))
    assert trunks(plain) == [plain.model, plain.model]

    class Whole(nn.Module):
        def __init__(self, decoder):
            super().__init__()
            self.inner = nn.Linear(1, 1)
            self.base_model = self.inner
            if decoder is not None:
                self.get_decoder = lambda: decoder(self)

    wrapper = nn.Module()
    wrapper.model = nn.Linear(2, 2)
    whole = Whole(lambda _: wrapper)
    assert trunks(whole) == [wrapper, wrapper.model, whole.inner]
    itself = Whole(lambda whole: whole)
    assert trunks(itself) == [itself.inner]
    bare = Whole(None)
    assert trunks(bare) == [bare.inner]


@pytest.mark.parametrize(
    ("shapes", "shortest", "side"),
    [
        ([], 4, 0),
        ([(8,)], 4, 0),
        ([(1, 1, 8, 8)], 4, 8),
        ([(8, 8)], 8, 0),
        ([(9, 9)], 8, 9),
        ([(8, 9)], 4, 0),
        ([(6, 6), (1, 12, 12), (9, 9)], 4, 12),
    ],
)
def test_the_largest_square_mask_is_found(shapes, shortest, side):
    model = nn.Module()
    for number, shape in enumerate(shapes):
        model.register_buffer(f"mask{number}", torch.zeros(shape))
    assert side_of_masks(model, shortest) == side


@pytest.mark.parametrize(
    ("settings", "drops"),
    [
        ({}, False),
        ({"attention_dropout": 0.0}, False),
        ({"attention_dropout": 0.1}, True),
        ({"attn_pdrop": 0.1}, True),
        ({"attention_dropout": 1}, False),
        ({"attention_dropout": "0.1"}, False),
        ({"dropout": 0.1}, False),
        ({"drop_attention": 0.1}, False),
        ({"other": 0, "attention_dropout": 0.5}, True),
    ],
)
def test_dropped_shares_of_attention_are_seen(settings, drops):
    assert drops_attention(config(**settings)) is drops


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({}, (1.0, None)),
        ({"logit_scale": 0.5}, (0.5, None)),
        ({"logits_scaling": 4.0}, (0.25, None)),
        ({"logit_scale": 6.0, "logits_scaling": 4.0, "final_logit_softcapping": 30.0}, (1.5, 30.0)),
        ({"logit_scale": None, "logits_scaling": None}, (1.0, None)),
    ],
)
def test_what_follows_the_head(settings, found):
    assert after_head(config(**settings)) == found


@pytest.mark.parametrize(("limit", "tokens"), [(0, 8), (16, 24), (32, 40), (35, 43), (36, 45), (100, 125)])
def test_a_row_passes_a_boundary_by_a_quarter_or_eight_tokens(limit, tokens):
    assert beyond(limit) == tokens


def modules(*sizes, frozen=()):
    model = nn.Module()
    for number, size in enumerate(sizes):
        weight = nn.Parameter(torch.empty(size, device="meta"), requires_grad=number not in frozen)
        model.register_parameter(f"w{number}", weight)
    return model, list(model.parameters())


def places(sizes, frozen=()):
    model, weights = modules(*sizes, frozen=frozen)
    return [next(n for n, weight in enumerate(weights) if weight is one) for one in some_trained(model)]


def test_the_first_and_the_last_trained_weights_are_chosen():
    assert places([1] * 12) == [0, 1, 2, 3, 11, 10, 9, 8]
    assert places([1] * 8) == [0, 1, 2, 3, 7, 6, 5, 4]
    assert places([1] * 6) == [0, 1, 2, 3, 5, 4]
    assert places([1] * 12, frozen=(0, 10)) == [1, 2, 3, 4, 11, 9, 8, 7]
    assert places([]) == []


def test_a_few_million_numbers_are_chosen_at_most():
    million, limit = 1 << 20, 1 << 22
    assert places([3 * million, million, million - 1, 5]) == [0, 2]
    assert places([limit, 1, 1]) == [0]
    assert places([2 * limit, 1]) == [0]
    assert places([limit - 2, 1, 1]) == [0, 1]
    assert places([1, limit, 1]) == [0, 2]


def test_a_gradient_is_flat_and_zero_where_a_weight_is_not_used():
    first = nn.Parameter(torch.tensor([[1.0, 2.0]], dtype=torch.bfloat16))
    unused = nn.Parameter(torch.ones(2))
    last = nn.Parameter(torch.tensor([3.0]))
    with torch.no_grad():
        found = gradient(lambda: (first.float() ** 2).sum() * last.sum(), [first, unused, last])
    assert found.dtype == torch.bfloat16
    assert found.tolist() == [6.0, 12.0, 0.0, 0.0, 5.0]


def test_random_states_and_modes_are_restored():
    model = nn.Sequential(nn.Linear(1, 1), nn.Dropout())
    before = torch.get_rng_state()
    with not_drawing(model):
        torch.rand(3)
    assert torch.equal(torch.get_rng_state(), before)
    for training in (True, False):
        model.train(training)
        with evaluating(model):
            assert not model.training
            assert not model[1].training
            torch.rand(3)
        assert (model.training, model[1].training) == (training, training)
        assert torch.equal(torch.get_rng_state(), before)
        with pytest.raises(KeyError), evaluating(model):
            raise KeyError
        assert (model.training, model[1].training) == (training, training)
        assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("share", "least", "rounding", "text"),
    [
        (0.5e-4, {}, None, ""),
        (0.25, {torch.float32: 0.25}, None, ""),
        (0.25, {torch.bfloat16: 0.25}, 0.0, "off by 0.25, where rounding explains 0.0001"),
        (0.25, {}, 0.0625, ""),
        (0.25, {}, 0.05, "off by 0.25, where rounding explains 0.2"),
        (0.25, {torch.float32: 0.125}, 0.01, "off by 0.25, where rounding explains 0.12"),
        (0.5, {}, 9.0, ""),
        (0.625, {}, 9.0, "off by 0.62, where rounding explains 0.5"),
        (0.625, {torch.float32: 0.75}, None, ""),
    ],
)
def test_rounding_explains_a_difference_up_to_a_limit(share, least, rounding, text):
    """The rounding of the model is measured only where it is needed."""
    theirs = torch.tensor([1.0])
    found = off_by(
        theirs * (1 + share),
        theirs,
        least,
        lambda: rounding if rounding is not None else pytest.fail("it is not needed"),
    )
    assert found == text


def test_experts_are_known_by_the_paths_of_modules():
    model = nn.Module()
    model.mlp = nn.ModuleDict({"gate": nn.Linear(1, 1)})
    assert not has_experts(model)
    model.mlp["experts"] = nn.ModuleList([nn.Linear(1, 1)])
    assert has_experts(model)
