"""torch's flash attention over sequences of different lengths: the calls that its kernel supports, and the call itself.

The conditions are those of torch's sources (`flash_api.cpp`, `sdp_utils.cpp`, `nn/attention/varlen.py` of 2.11 to
2.13). `enable_gqa` is passed if the signature has it (2.12); otherwise keys and values are repeated. A call that the
kernel does not support is computed by `burnish.train.kernels.attention`, one sequence after the other.

Before its first use for a shape of heads, the kernel is compared with plain attention on random numbers: a window that
is one token too wide or a zero gradient would be too small to notice in the states of a deep model.
"""

import contextlib
import inspect
from collections.abc import Callable
from functools import cache, cached_property
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from burnish.core.faults import first_line, is_out_of_memory

_LARGEST_HEAD = 256
_MOST_SEQUENCES = 65_535
"""The limit of the second dimension of a CUDA grid, which indexes sequences."""
_ALIGNMENT = 8
"""Elements of two bytes: the kernel loads 16 bytes at once."""
_TOLERANCE = {torch.bfloat16: 5e-2, torch.float16: 1e-2}
_TEST_BOUNDS, _TEST_WINDOW = (0, 7, 8, 40, 51), 5


class Flash:
    """`varlen_attn` of torch on one device.

    `varlen_attn` is None if torch has none; `capability` is the device's compute capability.
    """

    def __init__(self, varlen_attn: Callable[..., Any] | None, capability: tuple[int, int]):
        self._varlen_attn, self._capability = varlen_attn, capability
        self._tested: dict[tuple[Any, ...], str] = {}
        self.refusals: set[str] = set()
        """Reasons of unsupported calls, since it was cleared."""

    def serves(self, query: Tensor, key: Tensor, value: Tensor, sequences: int, dropout: float, softcap: Any) -> bool:
        """True if the kernel supports the call and is correct for its shapes; query [1, heads, T, head_dim]."""
        why = self.refusal(query, key, value, sequences, dropout, softcap) or self._test(query, key)
        if why:
            self.refusals.add(why)
        return not why

    def refusal(
        self, query: Tensor, key: Tensor, value: Tensor, sequences: int = 1, dropout: float = 0.0, softcap: Any = None
    ) -> str:
        """Why the kernel does not support a call; empty if it does."""
        head, major_minor = query.shape[-1], ".".join(map(str, self._capability))
        needs_gradient = torch.is_grad_enabled() and any(states.requires_grad for states in (query, key, value))
        if self._varlen_attn is None:
            return f"torch {torch.__version__} has no torch.nn.attention.varlen for this device"
        if missing := {"scale", "window_size"} - self._parameters:
            return f"varlen_attn of torch {torch.__version__} has no {' and no '.join(sorted(missing))}"
        if self._capability < (8, 0):
            return f"it needs compute capability 8.0, and this GPU has {major_minor}"
        if len({query.dtype, key.dtype, value.dtype}) > 1 or query.dtype not in _TOLERANCE:
            names = sorted({str(states.dtype).removeprefix("torch.") for states in (query, key, value)})
            return f"it supports float16 or bfloat16, not {' with '.join(names)}"
        if key.shape != value.shape:
            return f"values of size {value.shape[-1]} differ from keys of size {key.shape[-1]}"
        if head != key.shape[-1] or head % _ALIGNMENT or head > _LARGEST_HEAD:
            return f"a head size of {head} is not a multiple of {_ALIGNMENT} up to {_LARGEST_HEAD}"
        if query.shape[1] % key.shape[1]:
            return f"{query.shape[1]} heads cannot share {key.shape[1]} keys"
        if 192 < head <= 224 and needs_gradient and ((8, 6) <= self._capability <= (8, 9) or self._capability[0] == 12):
            return f"it has no gradient for a head size of {head} on compute capability {major_minor}"
        if sequences > _MOST_SEQUENCES:
            return f"it supports {_MOST_SEQUENCES} sequences at most"
        if dropout > 0.0:
            return "it has no dropout"
        return "it has no soft cap of the scores" if softcap is not None else ""

    def __call__(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        cu_seqlens: Tensor,
        longest: int,
        scaling: float | None = None,
        window: int | None = None,
    ) -> Tensor:
        """Causal attention [1, T, heads, head_dim] of query [1, heads, T, head_dim], key and value [1, kv_heads, T, …].

        `window` counts the tokens that a token sees, including itself; the kernel counts those to its left.
        """
        assert self._varlen_attn is not None
        # (-1, 0) is causal attention for the kernel; a window that hides nothing must be passed like this too
        span = (window - 1 if window is not None and window < longest else -1, 0)
        groups, options = query.shape[1] // key.shape[1], dict[str, Any]()
        if groups > 1 and "enable_gqa" in self._parameters:
            options["enable_gqa"] = True
        elif groups > 1:
            key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
        q, k, v = (_aligned(states[0].transpose(0, 1)) for states in (query, key, value))  # [T, heads, head_dim]
        out = self._varlen_attn(
            q, k, v, cu_seqlens, cu_seqlens, longest, longest, scale=scaling, window_size=span, **options
        )
        return out[None]

    @cached_property
    def _parameters(self) -> frozenset[str]:
        return frozenset(inspect.signature(self._varlen_attn).parameters) if self._varlen_attn else frozenset()

    def _test(self, query: Tensor, key: Tensor) -> str:
        """Why the kernel is not used for heads of this shape; cached."""
        shape = (query.shape[1], key.shape[1], query.shape[-1], query.dtype)
        if shape not in self._tested:
            self._tested[shape] = self._difference(*shape, query.device)
        return self._tested[shape]

    @torch.enable_grad()
    def _difference(self, heads: int, kv_heads: int, size: int, dtype: torch.dtype, device: torch.device) -> str:
        """Compare states and gradients with plain attention in float32, causal and with a window; empty when equal."""
        random = torch.Generator().manual_seed(0)
        total, longest = _TEST_BOUNDS[-1], max(end - start for start, end in pairwise(_TEST_BOUNDS))
        cu_seqlens = torch.tensor(_TEST_BOUNDS, dtype=torch.int32, device=device)
        for window in (None, _TEST_WINDOW):
            states = [torch.randn(1, count, total, size, generator=random) for count in (heads, kv_heads, kv_heads)]
            states = [part.to(device, dtype).requires_grad_() for part in states]
            outer = torch.randn(1, total, heads, size, generator=random).to(device, dtype)
            try:
                query, key, value = states
                found = self(query, key, value, cu_seqlens, longest, None, window)
                ours = [found.detach(), *torch.autograd.grad(found, states, outer)]
            except (RuntimeError, ValueError, NotImplementedError) as error:
                if is_out_of_memory(error):
                    raise
                return f"it raises: {first_line(error)}"
            exact = query, key, value = [part.detach().float().requires_grad_() for part in states]
            plain = _plain(query, key, value, window)
            theirs = [plain.detach(), *torch.autograd.grad(plain, exact, outer.float())]
            for name, one, other in zip(("output", "query", "key", "value"), ours, theirs, strict=True):
                share = float((one.float() - other).norm() / other.norm())
                if not share <= _TOLERANCE[dtype]:
                    of = name if name == "output" else f"gradient of the {name}"
                    return f"its {of} is off by {share:.2g}{'' if window is None else ' with a window'}"
        return ""


@cache
def flash_on(device: torch.device) -> Flash | None:
    """The kernel of a CUDA device; None on other devices, and on AMD GPUs, where it has not been run."""
    if device.type != "cuda" or torch.version.hip:
        return None
    varlen_attn = None
    if torch.backends.cuda.is_flash_attention_available():
        with contextlib.suppress(ImportError):
            from torch.nn.attention.varlen import varlen_attn
    return Flash(varlen_attn, torch.cuda.get_device_capability(device))


def _aligned(states: Tensor) -> Tensor:
    """A copy if the kernel cannot load from the tensor's address: slices of a fused projection may be misaligned."""
    places = (states.storage_offset(), *states.stride()[:-1])
    return states if states.stride(-1) == 1 and not any(at % _ALIGNMENT for at in places) else states.contiguous()


def _plain(query: Tensor, key: Tensor, value: Tensor, window: int | None) -> Tensor:
    """Causal attention within the sequences of the test, with a full mask; [1, T, heads, head_dim]."""
    total = query.shape[2]
    tokens = torch.arange(total, device=query.device)
    sequence = torch.bucketize(tokens, torch.tensor(_TEST_BOUNDS[1:], device=query.device), right=True)
    distance = tokens[:, None] - tokens[None]
    sees = (sequence[:, None] == sequence[None]) & (distance >= 0) & (distance < (window or total))
    groups = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    scores = (query @ key.transpose(2, 3) * query.shape[-1] ** -0.5).masked_fill(~sees, float("-inf"))
    return (scores.softmax(-1) @ value).transpose(1, 2)
