"""Cross-entropy of learned positions only, in chunks, with the gradient formed while the logits exist.

Full logits of a 150k vocabulary would be the largest tensor of a run. Here a chunk of hidden states
becomes logits, loss and gradient at once, and its logits are freed. Two heads: `linear_cross_entropy`
for a plain matrix, in closed form, and `module_cross_entropy` for anything else that maps hidden states
to logits (an adapter on the head, a soft cap), through autograd. Tests compare both with their plain twin.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

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
        for part, rounded, shares_of_tokens in _softmax_chunks(hidden, weight, bias, targets, scale, losses):
            if not needs_gradient:
                continue
            # d loss / d (hidden·weightᵀ + bias) = factor · (softmax - onehot), written over the logits; the factor of
            # a position goes to the narrow side of each product
            gradient = _minus_onehot(shares_of_tokens, targets[part])
            factor = (shares[part] * scale)[:, None]
            if d_bias is not None:
                d_bias += (gradient.T @ factor)[:, 0]
            if gradient.dtype != rounded.dtype:
                gradient = rounded.copy_(gradient)
            if d_hidden is not None:
                d_hidden[part] = (gradient @ weight) * factor
            if d_weight is not None:
                d_weight += gradient.T @ (hidden[part] * factor).to(hidden.dtype)
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


def linear_token_losses(
    hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, scale: float = 1.0
) -> Tensor:
    """ce [K] float32 of logits = scale·(hidden·weightᵀ + bias); differentiable in hidden [K, d], not in the head.

    For losses that are no weighted sum of tokens. The gradient of each token is formed with its logits and scaled in
    the backward pass, so no logits are computed twice.
    """
    if not torch.is_grad_enabled():
        hidden = hidden.detach()
    return _LinearTokens.apply(hidden, weight.detach(), None if bias is None else bias.detach(), targets, scale)  # pyright: ignore[reportReturnType]


class _LinearTokens(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, scale: float) -> Tensor:
        losses = torch.empty(len(targets), dtype=torch.float32, device=hidden.device)
        d_hidden = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        for part, rounded, shares_of_tokens in _softmax_chunks(hidden, weight, bias, targets, scale, losses):
            if d_hidden is None:
                continue
            gradient = _minus_onehot(shares_of_tokens, targets[part])
            if gradient.dtype != rounded.dtype:
                gradient = rounded.copy_(gradient)
            d_hidden[part] = gradient @ weight
        ctx.save_for_backward(d_hidden)
        ctx.scale = scale
        return losses

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (d_hidden,) = ctx.saved_tensors
        outer = (gradients[0] * ctx.scale)[:, None]
        return (None if d_hidden is None else (d_hidden * outer).to(d_hidden.dtype), None, None, None, None)


def _softmax_chunks(
    hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, scale: float, losses: Tensor
) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Fill `losses` chunk by chunk; gives (chunk, a buffer in the product's dtype, softmax in float32), each [k, V].

    Both are overwritten by the next chunk, and are the same tensor in float32.
    """
    chunk = _chunk(hidden, len(weight))
    # two buffers for all chunks: new ones of this size would be mapped and unmapped by the OS each time
    products = hidden.new_empty(min(chunk, len(targets)), len(weight))
    exact = products if hidden.dtype == torch.float32 else torch.empty_like(products, dtype=torch.float32)
    for start in range(0, len(targets), chunk):
        part = slice(start, start + chunk)
        states, picks = hidden[part], targets[part, None]
        rounded, logits = products[: len(states)], exact[: len(states)]
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
        yield part, rounded, shares_of_tokens


def _minus_onehot(shares_of_tokens: Tensor, targets: Tensor) -> Tensor:
    """softmax - onehot [k, V], in place."""
    picks = targets[:, None]
    return shares_of_tokens.scatter_add_(1, picks, shares_of_tokens.new_full(picks.shape, -1.0))


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
        needed = [ctx.needs_input_grad[0], *ctx.needs_input_grad[4:]]
        losses, ctx.totals = _gradients(hidden, score, targets, shares, parameters, needed)
        ctx.dtypes = [tensor.dtype for tensor in (hidden, *parameters)]
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


def module_token_losses(
    hidden: Tensor, score: Callable[[Tensor], Tensor], parameters: Sequence[Tensor], targets: Tensor
) -> Tensor:
    """As `linear_token_losses`, for any `score` that maps hidden states [k, d] to logits [k, V].

    `parameters` are the trained tensors inside `score`; the result is differentiable in them. The backward pass
    computes the logits again.
    """
    if not torch.is_grad_enabled():
        hidden, parameters = hidden.detach(), []
    return _ModuleTokens.apply(hidden, score, targets, *parameters)  # pyright: ignore[reportReturnType]


class _ModuleTokens(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, score: Callable[[Tensor], Tensor], targets: Tensor, *parameters: Tensor
    ) -> Tensor:
        ctx.save_for_backward(hidden, targets, *parameters)
        ctx.score, ctx.randomness = score, [state() for state, _ in _generators(hidden)]
        parts = zip(hidden.split(CHUNK), targets.split(CHUNK), strict=True)
        return torch.cat([_token_losses(score(states), picks) for states, picks in parts])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        hidden, targets, *parameters = ctx.saved_tensors
        needed = [ctx.needs_input_grad[0], *ctx.needs_input_grad[3:]]
        after = [state() for state, _ in _generators(hidden)]
        for (_, restore), state in zip(_generators(hidden), ctx.randomness, strict=True):  # dropout inside `score`
            restore(state)
        _, totals = _gradients(hidden, ctx.score, targets, gradients[0], parameters, needed)
        for (_, restore), state in zip(_generators(hidden), after, strict=True):
            restore(state)
        first, *rest = (
            None if total is None else total.to(tensor.dtype)
            for total, tensor in zip(totals, (hidden, *parameters), strict=True)
        )
        return (first, None, None, *rest)


def _gradients(
    hidden: Tensor,
    score: Callable[[Tensor], Tensor],
    targets: Tensor,
    shares: Tensor,
    parameters: Sequence[Tensor],
    needed: Sequence[bool],
) -> tuple[Tensor, list[Tensor | None]]:
    """ce [K] float32, and the gradients of Σ shares·ce in float32 for hidden and parameters, as far as `needed`."""
    losses = torch.empty(len(targets), dtype=torch.float32, device=hidden.device)
    totals: list[Tensor | None] = [
        torch.zeros_like(tensor, dtype=torch.float32) if need else None
        for tensor, need in zip((hidden, *parameters), needed, strict=True)
    ]
    for start in range(0, len(targets), CHUNK):
        part = slice(start, start + CHUNK)
        states = hidden[part].detach().requires_grad_(needed[0])
        with torch.set_grad_enabled(any(needed)):
            ce = _token_losses(score(states), targets[part])
            loss = (ce * shares[part]).sum()
        losses[part] = ce.detach()
        sources = [tensor for tensor, need in zip((states, *parameters), needed, strict=True) if need]
        if not sources:
            continue
        found = iter(torch.autograd.grad(loss, sources))
        for place, total in enumerate(totals):
            if total is not None and place == 0:
                total[part] = next(found)
            elif total is not None:
                total += next(found)
    return losses, totals


def _generators(near: Tensor) -> list[tuple[Callable[[], Tensor], Callable[[Tensor], None]]]:
    """How the state of each generator that dropout on this device draws from is read and set."""
    here = [(torch.get_rng_state, torch.set_rng_state)]
    if near.device.type != "cuda":
        return here
    device = near.device
    return [
        *here,
        (lambda: torch.cuda.get_rng_state(device), lambda state: torch.cuda.set_rng_state(state, device)),
    ]


def _token_losses(logits: Tensor, targets: Tensor) -> Tensor:
    return torch.nn.functional.cross_entropy(logits.float(), targets, reduction="none")
