"""Cross-entropy of learned positions only, in chunks, with the gradient formed while the logits exist.

Full logits of a 150k vocabulary would be the largest tensor of a run. Here a chunk of hidden states
becomes logits, loss and gradient at once, and its logits are freed. Two heads: `linear_cross_entropy`
for a plain matrix, in closed form, and `module_cross_entropy` for anything else that maps hidden states
to logits (an adapter on the head, a soft cap), through autograd. Tests compare both with their plain twin.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

CHUNK = 1024
"""Positions whose logits exist at once, at most."""
_CPU_CHUNK, _CPU_LOGITS = 256, 1 << 23
"""On a CPU: the most elements of a chunk's logits, so that they stay near its cache, and the fewest positions."""


def linear_cross_entropy(
    hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, shares: Tensor, scale: float = 1.0
) -> tuple[Tensor, Tensor]:
    """(Σ shares·ce, ce [K] float32) of logits = scale·(hidden·weightᵀ + bias).

    hidden [K, d], weight [V, d], targets [K] int64, shares [K] float32: the weight of each position over the
    normaliser. The first result is differentiable in hidden, weight and bias; the second is not.
    """
    if not torch.is_grad_enabled():
        hidden, weight, bias = hidden.detach(), weight.detach(), None if bias is None else bias.detach()
    return _Linear.apply(hidden, weight, bias, targets, shares, scale)  # pyright: ignore[reportReturnType]


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, shares: Tensor, scale: float
    ) -> tuple[Tensor, Tensor]:
        needs_hidden, needs_weight, needs_bias = ctx.needs_input_grad[:3]
        needs_gradient = needs_hidden or needs_weight or needs_bias
        losses = torch.empty(len(targets), dtype=torch.float32, device=hidden.device)
        d_hidden = torch.empty_like(hidden) if needs_hidden else None
        d_weight = torch.zeros_like(weight, dtype=torch.float32) if needs_weight else None
        d_bias = torch.zeros_like(bias, dtype=torch.float32) if needs_bias and bias is not None else None
        chunk = _chunk(hidden, len(weight))
        # two buffers for all chunks: new ones of this size would be mapped and unmapped by the OS each time
        products = hidden.new_empty(min(chunk, len(targets)), len(weight))
        exact = products if hidden.dtype == torch.float32 else torch.empty_like(products, dtype=torch.float32)
        for start in range(0, len(targets), chunk):
            part = slice(start, start + chunk)
            states, picks = hidden[part], targets[part, None]
            rounded, logits = products[: len(states)], exact[: len(states)]  # [chunk, V]
            if bias is None:
                torch.mm(states, weight.T, out=rounded)
            else:
                torch.addmm(bias, states, weight.T, out=rounded)
            if logits.dtype != rounded.dtype:
                logits.copy_(rounded)
            if scale != 1.0:
                logits *= scale
            picked, highest = logits.gather(1, picks), logits.amax(-1, keepdim=True)
            shares_of_tokens = torch.softmax(logits, -1, out=logits)
            # the largest share is exp(0) / Σ exp(logit - highest), and never small
            losses[part] = (highest - shares_of_tokens.amax(-1, keepdim=True).log() - picked)[:, 0]
            if not needs_gradient:
                continue
            # d loss / d (hidden·weightᵀ + bias) = factor · (softmax - onehot), written over the logits; the factor of
            # a position goes to the narrow side of each product
            gradient = shares_of_tokens.scatter_add_(1, picks, torch.full_like(picked, -1.0))
            factor = (shares[part] * scale)[:, None]
            if d_bias is not None:
                d_bias += (gradient.T @ factor)[:, 0]
            if logits.dtype != rounded.dtype:
                gradient = rounded.copy_(gradient)
            if d_hidden is not None:
                d_hidden[part] = (gradient @ weight) * factor
            if d_weight is not None:
                d_weight += gradient.T @ (states * factor).to(states.dtype)
        ctx.save_for_backward(d_hidden, d_weight, d_bias)
        ctx.dtypes = weight.dtype, bias.dtype if bias is not None else None
        ctx.mark_non_differentiable(losses)
        return (losses * shares).sum(), losses

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        outer = gradients[0]
        d_hidden, d_weight, d_bias = ctx.saved_tensors
        weight_dtype, bias_dtype = ctx.dtypes
        return (
            None if d_hidden is None else d_hidden * outer.to(d_hidden.dtype),
            None if d_weight is None else (d_weight * outer).to(weight_dtype),
            None if d_bias is None else (d_bias * outer).to(bias_dtype),
            None,
            None,
            None,
        )


def _chunk(hidden: Tensor, vocabulary: int) -> int:
    """Positions whose logits exist at the same time."""
    return CHUNK if hidden.device.type != "cpu" else min(CHUNK, max(_CPU_CHUNK, _CPU_LOGITS // vocabulary))


def module_cross_entropy(
    hidden: Tensor, score: Callable[[Tensor], Tensor], parameters: Sequence[Tensor], targets: Tensor, shares: Tensor
) -> tuple[Tensor, Tensor]:
    """As `linear_cross_entropy`, for any `score` that maps hidden states [k, d] to logits [k, V].

    `parameters` are the trained tensors inside `score`; the first result is differentiable in them.
    """
    if not torch.is_grad_enabled():
        hidden, parameters = hidden.detach(), []
    return _Module.apply(hidden, score, targets, shares, *parameters)  # pyright: ignore[reportReturnType]


class _Module(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        score: Callable[[Tensor], Tensor],
        targets: Tensor,
        shares: Tensor,
        *parameters: Tensor,
    ) -> tuple[Tensor, Tensor]:
        wanted = [hidden, *parameters]
        needed = [ctx.needs_input_grad[0], *ctx.needs_input_grad[4:]]
        losses = torch.empty(len(targets), dtype=torch.float32, device=hidden.device)
        totals: list[Tensor | None] = [
            torch.zeros_like(tensor, dtype=torch.float32) if need else None
            for tensor, need in zip(wanted, needed, strict=True)
        ]
        for start in range(0, len(targets), CHUNK):
            part = slice(start, start + CHUNK)
            states = hidden[part].detach().requires_grad_(needed[0])
            with torch.set_grad_enabled(any(needed)):
                logits = score(states).float()
                ce = torch.nn.functional.cross_entropy(logits, targets[part], reduction="none")
                loss = (ce * shares[part]).sum()
            losses[part] = ce.detach()
            sources = [tensor for tensor, need in zip([states, *parameters], needed, strict=True) if need]
            if not sources:
                continue
            found = iter(torch.autograd.grad(loss, sources))
            for place, total in enumerate(totals):
                if total is not None and place == 0:
                    total[part] = next(found)
                elif total is not None:
                    total += next(found)
        ctx.totals, ctx.dtypes = totals, [tensor.dtype for tensor in wanted]
        ctx.mark_non_differentiable(losses)
        return (losses * shares).sum(), losses

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        outer = gradients[0]
        first, *rest = (
            None if total is None else (total * outer).to(dtype)
            for total, dtype in zip(ctx.totals, ctx.dtypes, strict=True)
        )
        return (first, None, None, None, *rest)
