"""A stand-in for torch's `varlen_attn` on a machine without a GPU: its signature, its refusals, plain numbers.

It checks what the CUDA kernel checks (`flash_api.cpp`, `sdp_utils.cpp` and `varlen.py` of torch 2.11 to 2.13) and
raises what that raises; the attention itself is computed in float32 with a full mask for each sequence. What the kernel
would compute wrong without a word is wrong here too: rows beyond `max_q` are never written, and come out as NaN.

    stand_in = use_flash(monkeypatch)  # burnish takes it for the kernel of the CPU; it counts its calls
"""

import inspect
from typing import Any

import pytest
import torch
from torch import Tensor

from burnish.train.kernels import attention
from burnish.train.kernels.flash import Flash


class FlashStandIn:
    """Called as torch's `varlen_attn` is; `calls` and `windows` say what it was asked."""

    def __init__(self, capability: tuple[int, int] = (9, 0)):
        self.capability = capability
        self.calls = 0
        self.windows: list[tuple[int, int]] = []

    def __call__(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        cu_seq_q: Tensor,
        cu_seq_k: Tensor | None,
        max_q: int,
        max_k: int,
        *,
        return_aux: Any = None,
        scale: float | None = None,
        window_size: tuple[int, int] = (-1, -1),
        enable_gqa: bool = False,
        seqused_k: Tensor | None = None,
        block_table: Tensor | None = None,
        num_splits: int | None = None,
    ) -> Tensor:
        """[T, heads, head_dim] of query [T, heads, head_dim], key and value [T, kv_heads, head_dim]."""
        heads, kv_heads = query.size(1), key.size(1)
        if not enable_gqa and heads != kv_heads:
            raise ValueError(
                f"Expect query and key/value to have the same number of heads but got Hq={heads} and Hkv={kv_heads}. "
                "Try setting enable_gqa=True for GQA."
            )
        if enable_gqa and heads % kv_heads:
            raise ValueError(
                f"Expect number of query heads to be a multiple of kv heads for GQA but got Hq={heads} and "
                f"Hkv={kv_heads}."
            )
        assert cu_seq_k is not None
        assert all(option is None for option in (return_aux, seqused_k, block_table, num_splits)), "not used by burnish"
        self._check(query, key, value, cu_seq_q, cu_seq_k)
        self.calls += 1
        self.windows.append(window_size)
        left, right = (-1 if side >= max_k else side for side in window_size)
        causal = window_size == (-1, 0)
        scale = query.size(2) ** -0.5 if scale is None else scale
        groups, parts = heads // kv_heads, []
        for start, end in zip(cu_seq_q.tolist(), cu_seq_q.tolist()[1:], strict=False):
            q, k, v = (part[start:end].float().transpose(0, 1) for part in (query, key, value))
            k, v = k.repeat_interleave(groups, 0), v.repeat_interleave(groups, 0)
            tokens = torch.arange(end - start)
            ahead = tokens[None] - tokens[:, None]  # [i, j]: how far j is to the right of i
            sees = torch.ones_like(ahead, dtype=torch.bool)
            sees &= (ahead <= right) if right >= 0 or causal else sees
            sees &= (-ahead <= left) if left >= 0 else sees
            found = (q @ k.transpose(1, 2) * scale).masked_fill(~sees, float("-inf")).softmax(-1) @ v
            written = torch.where(tokens < max_q, 0.0, float("nan"))
            parts.append((found + written[None, :, None]).transpose(0, 1))
        return _KernelGradient.apply(torch.cat(parts).to(query.dtype), query, self.capability)

    def _check(self, query: Tensor, key: Tensor, value: Tensor, cu_seq_q: Tensor, cu_seq_k: Tensor) -> None:
        _check(self.capability >= (8, 0), "FlashAttention only supports Ampere GPUs or newer.")
        halves = (torch.float16, torch.bfloat16)
        _check(query.dtype in halves, "FlashAttention only support fp16 and bf16 data type")
        _check(key.dtype == query.dtype, "query and key must have the same dtype")
        _check(value.dtype == query.dtype, "query and value must have the same dtype")
        _check(cu_seq_q.dtype == torch.int32, "cu_seqlens_q must have dtype int32")
        _check(cu_seq_k.dtype == torch.int32, "cu_seqlens_k must have dtype int32")
        contiguous = "Input tensor must have contiguous last dimension"
        _check(all(states.stride(-1) == 1 for states in (query, key, value)), contiguous)
        _check(cu_seq_q.is_contiguous(), "cu_seqlens_q must be contiguous")
        _check(cu_seq_k.is_contiguous(), "cu_seqlens_k must be contiguous")
        total, heads, size = query.shape
        kv_heads, sequences = key.size(1), cu_seq_q.numel() - 1
        _check(sequences > 0, "batch size must be positive")
        _check(size <= 256, "FlashAttention forward only supports head dimension at most 256")
        _check(heads % kv_heads == 0, "Number of heads in key/value must divide number of heads in query")
        _check(size % 8 == 0, "head_size must be a multiple of 8, this is ensured by padding!")
        for name, states in (("k", key), ("v", value)):
            shape = (key.size(0), kv_heads, size)
            _check(tuple(states.shape) == shape, f"{name} must have shape (total_k, num_heads_k, head_size_og)")
        _check(cu_seq_k.numel() == sequences + 1, "cu_seqlens_k must have shape (batch_size + 1)")
        _check(max(sequences, heads) <= 65535, "CUDA error: invalid configuration argument")
        for states in (query, key, value):
            places = (states.storage_offset(), *states.stride()[:-1])
            _check(all(at % 8 == 0 for at in places), "CUDA error: misaligned address")
        _check(int(cu_seq_q[-1]) == total, "the stand-in: sequences that do not end where the tokens end")


class _KernelGradient(torch.autograd.Function):
    """The checks of the kernel's backward pass."""

    @staticmethod
    def forward(ctx: Any, out: Tensor, query: Tensor, capability: tuple[int, int]) -> Tensor:
        ctx.size, ctx.capability, ctx.dtype = query.size(2), capability, query.dtype
        return out.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        small_memory = (8, 6) <= ctx.capability <= (8, 9) or ctx.capability[0] == 12
        _check(not (192 < ctx.size <= 224 and small_memory), "CUDA error: invalid argument")
        _check(gradients[0].dtype == ctx.dtype, "query and dout must have the same dtype")
        return gradients[0], None, None


def _check(holds: bool, otherwise: str) -> None:
    if not holds:
        raise RuntimeError(otherwise)


class OlderFlashStandIn(FlashStandIn):
    """As torch 2.11 has it: without `enable_gqa`."""

    def __call__(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        cu_seq_q: Tensor,
        cu_seq_k: Tensor,
        max_q: int,
        max_k: int,
        *,
        return_aux: Any = None,
        scale: float | None = None,
        window_size: tuple[int, int] = (-1, -1),
    ) -> Tensor:
        return super().__call__(
            query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, scale=scale, window_size=window_size
        )


def use_flash(monkeypatch: pytest.MonkeyPatch, stand_in: FlashStandIn | None = None) -> FlashStandIn:
    """Let burnish take the stand-in for the kernel of every device; gives it."""
    stand_in = stand_in or FlashStandIn()
    flash = Flash(stand_in, stand_in.capability)
    monkeypatch.setattr(attention, "flash_on", lambda device: flash)
    return stand_in


def signature_of(function: Any) -> list[tuple[str, Any, Any]]:
    """Names, kinds and defaults of its parameters."""
    return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]
