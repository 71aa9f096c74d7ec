"""Causal attention of each sequence of a flat batch, registered with transformers as `burnish_varlen`.

The bounds of the sequences come with the call, as `sequence_bounds` and `cu_seq_lens_q`, which every
model hands on from its forward to its attention. A packed mask would cost (ΣL)²; this costs ΣL². Its
plain twin, one forward for each sequence, stands in the tests.
"""

import itertools
from importlib.util import find_spec
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention

NAME = "burnish_varlen"
UNSUPPORTED = ("s_aux", "position_bias")
"""Attention sinks and learned biases: a layer that passes them is run one sequence at a time."""


class UnsupportedAttentionError(Exception):
    """A layer asks for something that attention per sequence does not do."""


def register() -> str:
    """Make the attention known to transformers; gives the name under which a model takes it."""
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface

    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, lambda **_: None)
    return NAME


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,  # [1, heads, T, head_dim]
    key: torch.Tensor,  # [1, kv_heads, T, head_dim]
    value: torch.Tensor,  # [1, kv_heads, T, head_dim]
    attention_mask: torch.Tensor | None,
    *,
    sequence_bounds: tuple[int, ...] | None = None,
    cu_seq_lens_q: torch.Tensor | None = None,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Attention [1, T, heads, head_dim] in which no token sees another sequence.

    A sliding window and a soft cap of the scores are honoured.

    Errors: UnsupportedAttentionError when the model did not hand on the bounds, or asks for sinks, a bias or
    attention that is not causal.
    """
    if sequence_bounds is None:
        raise UnsupportedAttentionError("the model does not hand the bounds of sequences to its attention")
    if attention_mask is not None or any(others.get(name) is not None for name in UNSUPPORTED):
        raise UnsupportedAttentionError(f"{type(module).__name__} needs a mask, a bias or sinks of its own")
    if others.get("is_causal") is False or getattr(module, "is_causal", True) is False:
        raise UnsupportedAttentionError(f"{type(module).__name__} is not causal")
    if cu_seq_lens_q is not None and _flash_serves(query, dropout, softcap):
        return _flash(query, key, value, cu_seq_lens_q, sequence_bounds, scaling, sliding_window), None
    dtype = query.dtype
    if not query.is_cuda:  # the backward pass of bf16 attention is several times slower than fp32 on a CPU
        query, key, value = query.float(), key.float(), value.float()
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    lengths = [end - start for start, end in itertools.pairwise(sequence_bounds)]
    parts = []
    # one split, not a slice for each sequence: the backward pass of a slice fills a tensor as large as the batch
    for q, k, v in zip(*(states.split(lengths, 2) for states in (query, key, value)), strict=True):
        length, mask = q.shape[2], None
        if sliding_window is not None and length > sliding_window:
            mask = _window(length, sliding_window, query.device)
        if softcap is not None:
            parts.append(_softcapped(q, k, v, mask, softcap, scaling, dropout))
        else:
            parts.append(
                scaled_dot_product_attention(
                    q, k, v, attn_mask=mask, is_causal=mask is None, scale=scaling, dropout_p=dropout
                )
            )
    return torch.cat(parts, 2).to(dtype).transpose(1, 2).contiguous(), None


def _window(length: int, window: int, device: torch.device) -> torch.Tensor:
    """True where position i sees position j: i - window < j ≤ i; [length, length]."""
    distance = torch.arange(length, device=device)[:, None] - torch.arange(length, device=device)[None]
    return (distance >= 0) & (distance < window)


def _softcapped(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    softcap: float,
    scaling: float | None,
    dropout: float,
) -> torch.Tensor:
    """Attention with scores softcap·tanh(score/softcap) (Gemma 2, arXiv 2408.00118)."""
    length = query.shape[2]
    scores = query @ key.transpose(2, 3) * (scaling if scaling is not None else query.shape[-1] ** -0.5)
    scores = softcap * torch.tanh(scores / softcap)
    visible = mask if mask is not None else _window(length, length, query.device)
    shares = scores.masked_fill(~visible, float("-inf")).softmax(-1, dtype=torch.float32).to(query.dtype)
    return torch.nn.functional.dropout(shares, dropout) @ value


def _flash_serves(query: torch.Tensor, dropout: float, softcap: float | None) -> bool:
    """True when torch's flash attention over variable lengths can take this call."""
    suits = query.is_cuda and query.dtype in (torch.bfloat16, torch.float16) and query.shape[-1] <= 256
    return suits and dropout == 0.0 and softcap is None and find_spec("torch.nn.attention.varlen") is not None


def _flash(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    cu_seqlens: torch.Tensor,
    bounds: tuple[int, ...],
    scaling: float | None,
    sliding_window: int | None,
) -> torch.Tensor:
    from torch.nn.attention.varlen import varlen_attn

    longest = max(end - start for start, end in itertools.pairwise(bounds))
    window = (sliding_window - 1 if sliding_window is not None and sliding_window < longest else -1, 0)
    q, k, v = (states[0].transpose(0, 1) for states in (query, key, value))  # [T, heads, head_dim]
    groups = q.shape[1] // k.shape[1]
    out = varlen_attn(
        q, k, v, cu_seqlens, cu_seqlens, longest, longest, scale=scaling, window_size=window, enable_gqa=groups > 1
    )
    assert isinstance(out, torch.Tensor)
    return out[None]
