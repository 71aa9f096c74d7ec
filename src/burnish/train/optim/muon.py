"""Muon on stacks of matrices: the experts of a layer are one tensor, and each expert's matrix is orthogonalised.

torch's own Muon supports single matrices, and is the reference in the tests: the update of each matrix is the same.
"""

import math
from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd  # pyright: ignore[reportPrivateUsage]

_COEFFICIENTS = (3.4445, -4.775, 2.0315)  # torch's
_STEPS, _EPS = 5, 1e-7
_AT_ONCE = 1 << 26
"""Elements of a stack that are orthogonalised at once, to bound memory."""

Stack = Callable[[Tensor], Tensor]
"""A weight as a view [matrices, rows, columns]."""


class StackedMuon(torch.optim.Optimizer):
    """Muon with Nesterov momentum and AdamW's update scale, on each matrix of the weights that `stacks` lists."""

    def __init__(self, stacks: Mapping[Tensor, Stack], *, momentum: float, weight_decay: float):
        super().__init__(list(stacks), {"lr": 0.0, "momentum": momentum, "weight_decay": weight_decay})
        self._stacks = dict(stacks)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Update every weight that has a gradient."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["momentum_buffer"] = torch.zeros_like(weight)
                mean = state["momentum_buffer"].lerp_(weight.grad, 1 - group["momentum"])
                update = weight.grad.lerp(mean, group["momentum"])
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                self._move(weight, update, group["lr"])

    def _move(self, weight: Tensor, update: Tensor, learning_rate: float) -> None:
        matrices, updates = self._stacks[weight](weight), self._stacks[weight](update)
        _, rows, columns = matrices.shape
        scale = 0.2 * math.sqrt(max(rows, columns))
        count = max(1, _AT_ONCE // (rows * columns))
        for some, their_updates in zip(matrices.split(count), updates.split(count), strict=True):
            some.add_(_orthogonalised(their_updates), alpha=-learning_rate * scale)


def stacks_of(model: nn.Module) -> dict[str, Stack]:
    """The trained weights that hold several matrices, by name, with their layout.

    Experts are [experts, out, in] or [experts, in, out]; their LoRA A is [experts · rank, in], B is
    [out, rank · experts]. Convolution kernels are not matrices.
    """
    found: dict[str, Stack] = {}
    for path, module in model.named_modules():
        for name, weight in module.named_parameters(path, recurse=False):
            is_stack = weight.ndim == 3 and min(weight.shape[1:]) > 1 and not isinstance(module, _ConvNd)
            if weight.requires_grad and is_stack and not is_bias(name):
                found[name] = lambda tensor: tensor
        experts = getattr(module, "num_experts", 1)
        if isinstance(experts, int) and experts > 1 and hasattr(module, "lora_A") and hasattr(module, "lora_B"):
            found |= dict(_adapter_stacks(path, module, experts))
    return found


def _adapter_stacks(path: str, module: nn.Module, experts: int) -> Iterable[tuple[str, Stack]]:
    def rows(tensor: Tensor) -> Tensor:
        return tensor.view(experts, -1, tensor.shape[-1])

    def columns(tensor: Tensor) -> Tensor:
        return tensor.view(tensor.shape[0], -1, experts).permute(2, 0, 1)

    for part, stack in (("lora_A", rows), ("lora_B", columns)):
        for name, _ in module.get_submodule(part).named_parameters(f"{path}.{part}" if path else part):
            if not is_bias(name):
                yield name, stack


def is_bias(name: str) -> bool:
    """True for one value per output, in any shape: those of experts are [experts, out]."""
    return name.rpartition(".")[2].endswith("bias")


def _orthogonalised(stack: Tensor) -> Tensor:
    """Newton-Schulz iteration of each matrix in bfloat16 (Jordan et al. 2024), as torch's Muon does it."""
    a, b, c = _COEFFICIENTS
    is_tall = stack.shape[1] > stack.shape[2]
    states = stack.mT.bfloat16() if is_tall else stack.bfloat16()
    states = states / states.norm(dim=(1, 2), keepdim=True).clamp(min=_EPS)
    for _ in range(_STEPS):
        gram = states @ states.mT
        states = torch.baddbmm(states, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), states, beta=a)
    return (states.mT if is_tall else states).to(stack.dtype)
