"""What a layer sees, read off the mask functions of transformers, against the masks themselves."""

import itertools

import pytest
import torch
from transformers import LlamaConfig
from transformers.masking_utils import (
    AttentionMaskInterface,
    create_causal_mask,
    create_chunked_causal_mask,
    create_sliding_window_causal_mask,
)

from burnish.train.kernels import attention
from burnish.train.kernels.attention import Sight, UnsupportedAttentionError

BOUNDS = (0, 5, 45, 46, 70)
POSITIONS = torch.cat([torch.arange(5), torch.arange(40), torch.arange(1), torch.arange(24)])[None]
MAKERS = {
    "causal": create_causal_mask,
    "window": create_sliding_window_causal_mask,
    "chunk": create_chunked_causal_mask,
}


def made(kind, **others):
    config = LlamaConfig(sliding_window=7, attention_chunk_size=7)
    AttentionMaskInterface.register(attention.NAME, Sight)
    config._attn_implementation = attention.NAME
    values = {"attention_mask": None, "past_key_values": None, "position_ids": POSITIONS} | others
    return MAKERS[kind](config=config, inputs_embeds=torch.zeros(1, 70, 4), **values)


@pytest.mark.parametrize("kind", MAKERS)
def test_the_kind_of_a_mask_is_read_off_its_function(kind):
    sight = made(kind)
    assert sight.kind(BOUNDS) == (kind, 0 if kind == "causal" else 7)


def test_a_chunk_counts_from_the_start_of_its_sequence():
    cut, tensor = made("chunk").chunks(BOUNDS)
    assert cut == (0, 5, 12, 19, 26, 33, 40, 45, 46, 53, 60, 67, 70)
    assert tensor.tolist() == list(cut)


def test_a_chunk_that_counts_from_the_start_of_the_batch_is_refused():
    """A model that does not hand its positions to the mask would chunk the batch, not the sequences in it."""
    with pytest.raises(UnsupportedAttentionError):
        made("chunk", position_ids=None).kind(BOUNDS)


@pytest.mark.parametrize("edge", ["and_mask_function", "or_mask_function"])
def test_a_mask_with_something_else_in_it_is_refused(edge):
    with pytest.raises(UnsupportedAttentionError):
        made("causal", **{edge: lambda batch, head, query, key: query - key > 3})


def test_a_mask_that_is_not_causal_is_refused():
    sight = made("causal")
    sight._function = lambda batch, head, query, key: query >= 0
    with pytest.raises(UnsupportedAttentionError):
        sight.kind(BOUNDS)


def test_padding_is_refused():
    with pytest.raises(UnsupportedAttentionError):
        made("causal", attention_mask=(torch.arange(70) > 3).long()[None])


@pytest.mark.parametrize("kind", MAKERS)
def test_attention_is_that_of_each_sequence_under_the_mask_of_transformers(kind):
    torch.manual_seed(0)
    states = [torch.randn(1, heads, 70, 8, dtype=torch.double, requires_grad=True) for heads in (4, 2, 2)]
    module = torch.nn.Module()
    ours = attention.attend(module, *states, made(kind), sequence_bounds=BOUNDS)[0]
    config = LlamaConfig(sliding_window=7, attention_chunk_size=7)
    config._attn_implementation = "sdpa"
    parts = []
    for start, end in itertools.pairwise(BOUNDS):
        mask = MAKERS[kind](
            config=config,
            inputs_embeds=torch.zeros(1, end - start, 4),
            attention_mask=None,
            past_key_values=None,
            position_ids=POSITIONS[:, start:end],
        )
        query, key, value = (part[:, :, start:end].float() for part in states)
        found = torch.nn.functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, is_causal=mask is None, enable_gqa=True
        )
        parts.append(found.transpose(1, 2))
    expected = torch.cat(parts, 1)
    torch.testing.assert_close(ours.float(), expected, rtol=1e-4, atol=1e-5)
    mine, theirs = (torch.autograd.grad((out.float() ** 2).sum(), states) for out in (ours, expected))
    for a, b in zip(mine, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


PLAIN = {"batch_size": 1, "q_length": 70, "kv_length": 70, "q_offset": 0, "kv_offset": 0, "mask_function": None}


@pytest.mark.parametrize(
    "other",
    [
        {"batch_size": 2},
        {"kv_length": 71},
        {"q_offset": 1},
        {"kv_offset": 1},
        {"use_vmap": True},
        {"attention_mask": torch.tensor([[True, False]])},
    ],
    ids=lambda other: next(iter(other)),
)
def test_a_layer_that_sees_anything_but_the_batch_itself_is_refused(other):
    Sight(**PLAIN)
    Sight(**PLAIN, attention_mask=torch.ones(1, 70, dtype=torch.bool))
    with pytest.raises(UnsupportedAttentionError, match="its own mask"):
        Sight(**(PLAIN | other))
