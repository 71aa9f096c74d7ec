"""A linear layer with a LoRA adapter as one autograd function; replaces PEFT's forward during training.

PEFT computes `result + B(A(x)) · scaling`: two more passes over a tensor as large as the layer's output, and as many
backward. Here the matrix product itself adds the adapter's product, and the scale is applied to its narrow side.
The Scorer compares logits and gradients with those of PEFT's forward before a run. All other layers (dropout, DoRA,
several adapters, embeddings, quantized or merged weights) keep PEFT's forward.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class FusedLora:
    """Replaces the forward of a model's plain LoRA layers until `remove`."""

    def __init__(self, model: nn.Module):
        self.layers: list[nn.Module] = []
        if hasattr(model, "peft_config"):
            self.layers = [module for module in model.modules() if _is_plain(module)]
        self._replace()

    def _replace(self) -> None:
        for layer in self.layers:
            layer.forward = partial(_forward, layer)

    def remove(self) -> None:
        """Restore PEFT's forward, for good."""
        with self.removed():
            self.layers = []

    @contextmanager
    def removed(self) -> Iterator[None]:
        """PEFT's forward inside the block."""
        for layer in self.layers:
            del layer.forward
        try:
            yield
        finally:
            self._replace()


def _is_plain(module: Any) -> bool:
    """True for a linear layer with one adapter of two matrices, and nothing else between input and output."""
    from peft.tuners.lora.layer import Linear

    if type(module) is not Linear or len(module.active_adapters) != 1 or module.fan_in_fan_out:
        return False
    name, base = module.active_adapters[0], module.base_layer
    if name not in module.lora_A or name in module.lora_variant or type(module.lora_dropout[name]) is not nn.Identity:
        return False
    parts = [base, module.lora_A[name], module.lora_B[name]]
    is_narrow = module.lora_A[name].bias is None and module.lora_B[name].bias is None
    is_frozen = not any(parameter.requires_grad for parameter in base.parameters())
    return is_narrow and is_frozen and all(_is_bare(part) for part in parts)


def _is_bare(part: nn.Module) -> bool:
    hooks = (part._forward_hooks, part._forward_pre_hooks, part._backward_hooks, part._backward_pre_hooks)
    return type(part) is nn.Linear and "forward" not in vars(part) and not any(hooks)


def _forward(layer: Any, states: Tensor, *others: Any, **named: Any) -> Tensor:
    names, base = layer.active_adapters, layer.base_layer
    is_usual = not (others or named or layer.disable_adapters or layer.merged) and len(names) == 1
    if not is_usual or names[0] not in layer.lora_A or torch.is_autocast_enabled(states.device.type):
        return type(layer).forward(layer, states, *others, **named)
    name = names[0]
    down, up = layer.lora_A[name].weight, layer.lora_B[name].weight
    if not states.dtype == base.weight.dtype == down.dtype == up.dtype:
        return type(layer).forward(layer, states)
    return _LoraLinear.apply(states, base.weight, base.bias, down, up, layer.scaling[name])  # pyright: ignore


class _LoraLinear(torch.autograd.Function):
    """states·weightᵀ + bias + scale·(states·downᵀ)·upᵀ, with gradients for states, down and up."""

    @staticmethod
    def forward(
        ctx: Any, states: Tensor, weight: Tensor, bias: Tensor | None, down: Tensor, up: Tensor, scale: float
    ) -> Tensor:
        flat = states.reshape(-1, states.shape[-1])  # [T, in]
        narrow = (flat @ down.T).mul_(scale)  # [T, rank]
        # not a view: some models change it in place (OLMo's clip_qkv), which autograd forbids for a function's view
        output = states.new_empty(*states.shape[:-1], weight.shape[0])
        wide = output.view(-1, weight.shape[0])  # [T, out]
        torch.mm(flat, weight.T, out=wide) if bias is None else torch.addmm(bias, flat, weight.T, out=wide)
        wide.addmm_(narrow, up.T)
        ctx.save_for_backward(states, weight, down, up, narrow)
        ctx.scale = scale
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        states, weight, down, up, narrow = ctx.saved_tensors
        needs_states, needs_down, needs_up = (ctx.needs_input_grad[place] for place in (0, 3, 4))
        outer = gradients[0].reshape(-1, gradients[0].shape[-1])  # [T, out]
        d_narrow = (outer @ up).mul_(ctx.scale)  # [T, rank]
        d_states = None
        if needs_states:
            d_states = (outer @ weight).addmm_(d_narrow, down).view(states.shape)
        d_down = d_narrow.T @ states.reshape(-1, states.shape[-1]) if needs_down else None
        return d_states, None, None, d_down, outer.T @ narrow if needs_up else None, None
