"""Causal attention of each sequence of a flat batch, registered with transformers as `burnish_varlen`.

The bounds of the sequences are passed with the call, as `sequence_bounds` and `cu_seq_lens_q`, which every
model forwards to its attention. A packed mask would cost (ΣL)²; this costs ΣL². Its plain twin, one forward
pass for each sequence, is in the tests.

What a layer sees is not guessed from its settings: where transformers would build a mask, a `Sight` is built from the
same mask function, and the function is evaluated at the edges of what each token sees.
"""

import itertools
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch.nn.functional import scaled_dot_product_attention

from burnish.train.kernels.flash import flash_on

NAME = "burnish_varlen"
WITHOUT_MASKS = "burnish_varlen_causal"
"""The same attention, for which transformers builds no masks: to build one, it compares positions on the device in each
forward pass and waits for the result."""
Kind = Literal["causal", "window", "chunk"]
UNSUPPORTED = ("s_aux", "position_bias")
"""Attention sinks and learned biases: a layer that passes them is run one sequence at a time."""


class UnsupportedAttentionError(Exception):
    """A layer needs something that attention per sequence does not support."""


def register() -> str:
    """Register the attention with transformers and return its name."""
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface

    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, Sight)
    AttentionInterface.register(WITHOUT_MASKS, attend)
    return NAME


class Sight:
    """What the tokens of a layer see; passed instead of transformers' mask.

    The last `size` tokens (`window`), the tokens of their own chunk of `size` (`chunk`), or all before them (`causal`);
    the kind is determined, and verified, from the mask function.
    """

    sizes: set[int] = set()  # noqa: RUF012
    """Sizes of all windows and chunks applied since it was cleared."""
    functions: set[Callable[..., torch.Tensor]] | None = None
    """If set, mask functions are added to it."""

    def __init__(
        self,
        *,
        batch_size: int,
        q_length: int,
        kv_length: int,
        q_offset: Any,
        kv_offset: Any,
        mask_function: Callable[..., torch.Tensor],
        attention_mask: torch.Tensor | None = None,
        local_size: int | None = None,
        use_vmap: bool = False,
        device: torch.device | str = "cpu",
        **others: Any,
    ):
        hides = attention_mask is not None and not bool(attention_mask.all())
        if batch_size != 1 or q_length != kv_length or q_offset or kv_offset or hides or use_vmap:
            raise UnsupportedAttentionError("the model builds its own mask")
        self._function, self._size, self._device = mask_function, local_size, device
        if Sight.functions is not None:
            Sight.functions.add(mask_function)
        self._resolved: dict[tuple[int, ...], tuple[Kind, int]] = {}
        self._chunked: dict[tuple[int, ...], tuple[tuple[int, ...], torch.Tensor]] = {}

    def kind(self, bounds: tuple[int, ...]) -> tuple[Kind, int]:
        """The kind and its size for sequences with these bounds.

        Errors: UnsupportedAttentionError for a mask of any other kind.
        """
        if bounds not in self._resolved:
            kinds: tuple[Kind, ...] = ("causal",) if self._size is None else ("window", "chunk", "causal")
            lengths = torch.tensor([end - start for start, end in itertools.pairwise(bounds)], device=self._device)
            starts = torch.tensor(bounds[:-1], device=self._device).repeat_interleave(lengths)  # [T]
            ends = torch.tensor(bounds[1:], device=self._device).repeat_interleave(lengths)
            found: Kind | None = next((kind for kind in kinds if self._is(kind, starts, ends)), None)
            if found is None:
                raise UnsupportedAttentionError("layers see something other than a window, a chunk or all before them")
            self._resolved[bounds] = found, self._size or 0
            if found != "causal":
                Sight.sizes.add(self._size or 0)
        return self._resolved[bounds]

    def chunks(self, bounds: tuple[int, ...]) -> tuple[tuple[int, ...], torch.Tensor]:
        """The bounds of all chunks, as integers and as a tensor: each chunk of a sequence is a sequence by itself."""
        if bounds not in self._chunked:
            size = self._size or bounds[-1]
            cut = [at for start, end in itertools.pairwise(bounds) for at in range(start, end, size)]
            cut.append(bounds[-1])
            self._chunked[bounds] = tuple(cut), torch.tensor(cut, dtype=torch.int32, device=self._device)
        return self._chunked[bounds]

    def _is(self, kind: str, starts: torch.Tensor, ends: torch.Tensor) -> bool:
        """Evaluate the mask for each token [T] at the edges and in the middle of what it should see."""
        tokens = torch.arange(len(starts), device=starts.device)
        first = starts
        if kind == "window":
            first = torch.maximum(starts, tokens - (self._size or 0) + 1)
        elif kind == "chunk":
            first = starts + (tokens - starts) // (self._size or 1) * (self._size or 1)
        sees = [self._sees(tokens, seen) for seen in (first, (first + tokens) // 2, tokens)]
        before = self._sees(tokens, (first - 1).clamp(min=0)) & (first > starts)
        after = self._sees(tokens, (tokens + 1).clamp(max=len(tokens) - 1)) & (tokens + 1 < ends)
        return bool((torch.stack(sees).all(0) & ~before & ~after).all())

    def _sees(self, tokens: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        zero = torch.zeros_like(tokens)
        return self._function(zero, zero, tokens, others).broadcast_to(tokens.shape)


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,  # [1, heads, T, head_dim]
    key: torch.Tensor,  # [1, kv_heads, T, head_dim]
    value: torch.Tensor,  # [1, kv_heads, T, head_dim]
    attention_mask: "torch.Tensor | Sight | None",
    *,
    sequence_bounds: tuple[int, ...] | None = None,
    cu_seq_lens_q: torch.Tensor | None = None,
    sequence_gather: torch.Tensor | None = None,
    sequence_keep: torch.Tensor | None = None,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Attention [1, T, heads, head_dim] in which no token sees another sequence.

    Sequences may share tokens of a prompt: attention is computed for `states[sequence_gather]`, to which the bounds
    refer, and its rows `[sequence_keep]` are returned.

    Windows and chunks are those of `attention_mask`, a Sight. A soft cap of the scores is applied. Without
    `cu_seq_lens_q` the sequences are computed one after the other, even if a kernel supports them.

    Errors: UnsupportedAttentionError when the model does not forward the bounds, or needs sinks, a bias,
    another kind of mask, or attention that is not causal.
    """
    if sequence_bounds is None:
        raise UnsupportedAttentionError("the model does not pass the bounds of sequences to its attention")
    if isinstance(attention_mask, torch.Tensor) or any(others.get(name) is not None for name in UNSUPPORTED):
        raise UnsupportedAttentionError(f"{type(module).__name__} needs its own mask, bias or sinks")
    if others.get("is_causal") is False or getattr(module, "is_causal", True) is False:
        raise UnsupportedAttentionError(f"{type(module).__name__} is not causal")
    if sequence_gather is not None and sequence_keep is not None:
        if attention_mask is not None or dropout:
            raise UnsupportedAttentionError(f"{type(module).__name__} has a mask or dropout, and prompts are shared")
        query, key, value = (states.index_select(2, sequence_gather) for states in (query, key, value))
        settings: dict[str, Any] = {"sequence_bounds": sequence_bounds, "cu_seq_lens_q": cu_seq_lens_q}
        settings |= {"scaling": scaling, "sliding_window": sliding_window, "softcap": softcap}
        found, _ = attend(module, query, key, value, None, **settings)
        return found.index_select(1, sequence_keep), None
    if attention_mask is None and sliding_window is not None:
        raise UnsupportedAttentionError(f"{type(module).__name__} has a window, but its model builds no mask")
    kind, size = ("causal", 0) if attention_mask is None else attention_mask.kind(sequence_bounds)
    if kind == "chunk" and attention_mask is not None:
        sequence_bounds, ends = attention_mask.chunks(sequence_bounds)
        cu_seq_lens_q = None if cu_seq_lens_q is None else ends
    window = size if kind == "window" else None
    flash = None if cu_seq_lens_q is None else flash_on(query.device)
    if flash is not None and flash.serves(query, key, value, len(sequence_bounds) - 1, dropout, softcap):
        assert cu_seq_lens_q is not None
        longest = max(end - start for start, end in itertools.pairwise(sequence_bounds))
        return flash(query, key, value, cu_seq_lens_q, longest, scaling, window), None
    dtype = query.dtype
    if not query.is_cuda:  # the backward pass of bf16 attention is several times slower than fp32 on a CPU
        query, key, value = query.float(), key.float(), value.float()
    shares_heads = query.shape[1] > key.shape[1]
    if shares_heads and (query.device.type != "cpu" or softcap is not None):  # a CPU kernel shares keys itself
        groups = query.shape[1] // key.shape[1]
        key, value, shares_heads = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1), False
    runs = _runs(sequence_bounds)
    parts = []
    # one split, not a slice for each sequence: the backward pass of a slice fills a tensor as large as the batch
    split = (states.split([length * count for length, count in runs], 2) for states in (query, key, value))
    for (length, count), *run in zip(runs, *split, strict=True):
        # [count, heads, length, head_dim]: adjacent sequences of one length share a call
        q, k, v = (states[0].unflatten(1, (count, length)).transpose(0, 1) for states in run)
        mask = None
        if window is not None and length > window:
            mask = _window(length, window, query.device)
        if softcap is not None:
            found = _softcapped(q, k, v, mask, softcap, scaling, dropout)
        else:
            found = scaled_dot_product_attention(
                q,
                k,
                v,
                attn_mask=mask,
                is_causal=mask is None,
                scale=scaling,
                dropout_p=dropout,
                enable_gqa=shares_heads,
            )
        parts.append(found.transpose(0, 1).flatten(1, 2))  # [heads, count · length, head_dim]
    return torch.cat(parts, 1).to(dtype).transpose(0, 1).contiguous()[None], None


def _runs(bounds: tuple[int, ...]) -> list[tuple[int, int]]:
    """(length, count) of each run of adjacent sequences of one length."""
    lengths = itertools.groupby(end - start for start, end in itertools.pairwise(bounds))
    return [(length, len(list(found))) for length, found in lengths]


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
