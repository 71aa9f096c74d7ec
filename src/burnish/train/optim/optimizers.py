"""How gradients become updates: AdamW, also in 8 bits, or Muon on matrices with AdamW on the rest, on float32 masters.

A weight that the model keeps in bfloat16 has a float32 master here: gradients of micro-batches are accumulated
in float32, the update is applied there, and the model gets a rounded copy. Small updates do not vanish.
"""

from collections.abc import Iterable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from burnish.models import reward, value_head
from burnish.models.adapters.initial import fixed_matrices
from burnish.models.quantization.library import require
from burnish.specs.train import AdamW8bitSpec, AdamWSpec, MuonSpec
from burnish.train.optim.muon import Stack, StackedMuon, is_bias, stacks_of

_LARGE = 1 << 20
"""Elements; the gradient of a larger weight is added to its master's as soon as it is computed, and freed."""

_HEADS = (reward.HEAD, value_head.HEAD)
"""Names of output layers beside that of the vocabulary."""
_FASTER = (".lora_B.", ".lora_magnitude_vector.")
"""Parts of the names of weights with the learning rate of LoRA+, as in PEFT's `create_loraplus_optimizer`."""


class Optimizer:
    """Every trained weight by name, its master, and torch's optimizers over the masters."""

    def __init__(
        self,
        model: nn.Module,
        spec: AdamWSpec | MuonSpec,
        exact: Mapping[str, Tensor] = MappingProxyType({}),
        lora_plus: float | None = None,
    ):
        """`exact` are the unrounded values, by name, of weights that were rounded on load; they become masters.

        `lora_plus` is the learning rate of LoRA's B as a multiple of that of all other weights.
        """
        self._fixed = fixed_matrices(model)
        self._weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        self.masters: dict[str, Tensor] = {
            name: _master(weight, exact.get(name)) for name, weight in self._weights.items()
        }
        self._rounded = {name: weight for name, weight in self._weights.items() if self.masters[name] is not weight}
        self._publish()
        self._hooks = [
            weight.register_post_accumulate_grad_hook(partial(_hand_over, self.masters[name]))
            for name, weight in self._rounded.items()
            if weight.numel() >= _LARGE
        ]
        ends, stacks = _ends(model), stacks_of(model)
        stacks = {
            name: stacks[name] for name, weight in self._weights.items() if name in stacks and id(weight) not in ends
        }
        matrices = {
            name
            for name, weight in self._weights.items()
            if weight.ndim == 2 and id(weight) not in ends and name not in stacks and not is_bias(name)
        }
        self._optimizers = list(_build(self.masters, matrices, stacks, spec, lora_plus or 1.0))

    @property
    def decayed(self) -> list[str]:
        """The names of the weights to which weight decay is applied."""
        names = {id(master): name for name, master in self.masters.items()}
        groups = [group for optimizer in self._optimizers for group in optimizer.param_groups]
        return [names[id(master)] for group in groups if group["weight_decay"] for master in group["params"]]

    def gather(self) -> None:
        """Add the gradients of the last backward pass to the masters'; call it after each micro-batch."""
        waiting = {name: weight.grad for name, weight in self._rounded.items() if weight.grad is not None}
        if not waiting:
            return
        masters = [self.masters[name] for name in waiting]
        gradients = [torch.empty_like(master) for master in masters]
        with torch.no_grad():
            torch._foreach_copy_(gradients, list(waiting.values()))
            added = [place for place, master in enumerate(masters) if master.grad is not None]
            if added:
                sums = [sum_ for master in masters if (sum_ := master.grad) is not None]
                torch._foreach_add_(sums, [gradients[place] for place in added])
        for master, gradient in zip(masters, gradients, strict=True):
            if master.grad is None:
                master.grad = gradient
        for name in waiting:
            self._rounded[name].grad = None

    @property
    def reached(self) -> list[bool]:
        """Which masters have a gradient, in their order."""
        return [master.grad is not None for master in self.masters.values()]

    def gradients(self, reached: Iterable[int]) -> list[Tensor]:
        """The gradients of the masters that any process has reached: zeros where this one has not."""
        found = list[Tensor]()
        for master, is_reached in zip(self.masters.values(), reached, strict=True):
            if is_reached:
                if master.grad is None:
                    master.grad = torch.zeros_like(master)
                found.append(master.grad)
        return found

    def clip(self, max_norm: float | None) -> Tensor:
        """Scale the gradients to a norm of at most `max_norm`; returns the norm before, a scalar on their device."""
        gradients = [master.grad for master in self.masters.values() if master.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        if max_norm is not None:
            nn.utils.clip_grads_with_norm_(list(self.masters.values()), max_norm, norm)
        return norm

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """Update the masters, then the model's rounded copies."""
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * group.get("ratio", 1.0)
            optimizer.step()
        self._publish()

    def zero_grad(self) -> None:
        for name, master in self.masters.items():
            master.grad = None
            self._weights[name].grad = None

    def is_finite(self) -> bool:
        """False when any weight is infinite or NaN."""
        largest = torch._foreach_norm([master for master in self.masters.values() if master.numel()], float("inf"))
        return bool(torch.stack(largest).isfinite().all())  # read from the device once

    def checksum(self) -> int:
        """The sum of the bits of all masters, as integers: equal where all weights are equal."""
        sums = [master.detach().view(torch.int32).sum() for master in self.masters.values()]
        return int(torch.stack(sums).sum())

    def weights(self) -> dict[str, Tensor]:
        """The trained weights in float32, by name, and the matrices that an adapter was initialised with."""
        return {name: master.detach() for name, master in self.masters.items()} | self._fixed

    @torch.no_grad()
    def load_weights(self, weights: dict[str, Tensor]) -> None:
        """Set the masters and the model's weights."""
        for name, master in self.masters.items():
            master.copy_(weights[name])
        for name, matrix in self._fixed.items():  # another machine may decompose the base's weights to other values
            matrix.copy_(weights[name])
        self._publish()

    def give_masters(self, dtypes: Mapping[str, torch.dtype] = MappingProxyType({})) -> None:
        """Replace the model's rounded copies by the masters, in float32 by default; ends the training."""
        for hook in self._hooks:
            hook.remove()
        for name, weight in self._weights.items():
            weight.data = self.masters[name].detach().to(dtypes.get(name, torch.float32))

    def state(self) -> dict[str, Tensor]:
        """The optimizers' tensors, as `name|key`."""
        names = {id(master): name for name, master in self.masters.items()}
        return {
            f"{names[id(master)]}|{key}": value if isinstance(value, Tensor) else torch.tensor(value)
            for optimizer in self._optimizers
            for master, state in optimizer.state.items()
            for key, value in state.items()
        }

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """The inverse of `state`."""
        owners = {
            id(master): optimizer
            for optimizer in self._optimizers
            for group in optimizer.param_groups
            for master in group["params"]
        }
        for optimizer in self._optimizers:
            optimizer.state.clear()
        for address, value in tensors.items():
            name, key = address.rsplit("|", 1)
            master = self.masters[name]
            is_number = value.dtype == torch.int64 and not value.ndim  # bitsandbytes counts steps on the host
            owners[id(master)].state[master][key] = int(value) if is_number else value.to(master.device).clone()

    @torch.no_grad()
    def _publish(self) -> None:
        if self._rounded:
            torch._foreach_copy_(list(self._rounded.values()), [self.masters[name] for name in self._rounded])


@torch.no_grad()
def _hand_over(master: Tensor, weight: Tensor) -> None:
    """Add a weight's gradient to its master's and free it: saves two bytes per parameter in full fine-tuning."""
    assert weight.grad is not None
    if master.grad is None:
        master.grad = weight.grad.float()
    else:
        master.grad += weight.grad
    weight.grad = None


@torch.no_grad()
def _master(weight: Tensor, exact: Tensor | None) -> Tensor:
    """The weight itself if it is float32, else its exact float32 value; neither is copied."""
    if weight.dtype != torch.float32:
        return (weight if exact is None else exact).detach().to(weight.device, torch.float32).requires_grad_()
    return weight if exact is None else weight.copy_(exact)


def _ends(model: nn.Module) -> set[int]:
    """Ids of the weights of embeddings and heads, adapters on them included: they do not map hidden states."""
    inside = {id(module) for module in model.modules() if isinstance(module, nn.Embedding)}
    inside |= {id(module) for name, module in model.named_modules() if name.removeprefix("base_model.model.") in _HEADS}
    for name in ("get_input_embeddings", "get_output_embeddings"):
        if hasattr(model, name):
            inside.add(id(getattr(model, name)()))
    return {id(weight) for module in model.modules() if id(module) in inside for weight in module.parameters()}


def _build(
    masters: dict[str, Tensor],
    matrices: set[str],
    stacks: dict[str, Stack],
    spec: AdamWSpec | MuonSpec,
    lora_plus: float,
) -> Iterable[torch.optim.Optimizer]:
    if isinstance(spec, AdamWSpec):
        found: dict[tuple[float, float], list[Tensor]] = {}
        for name, master in masters.items():
            weight_decay = spec.weight_decay if master.ndim >= 2 and not is_bias(name) else 0.0
            ratio = lora_plus if any(part in name for part in _FASTER) else 1.0
            found.setdefault((weight_decay, ratio), []).append(master)
        groups = [{"params": some, "weight_decay": decay, "ratio": ratio} for (decay, ratio), some in found.items()]
        settings: dict[str, Any] = {"betas": (spec.beta1, spec.beta2), "eps": spec.eps}
        if isinstance(spec, AdamW8bitSpec):
            bnb = require(f"optimizer: {spec.kind}", next(iter(masters.values())).device.type)
            yield bnb.optim.AdamW8bit(groups, **settings)
        else:
            yield torch.optim.AdamW(groups, **settings, fused=True)
        return
    rest = [master for name, master in masters.items() if name not in matrices and name not in stacks]
    if matrices:
        yield torch.optim.Muon(
            [master for name, master in masters.items() if name in matrices],
            momentum=spec.momentum,
            weight_decay=spec.weight_decay,
            adjust_lr_fn="match_rms_adamw",
        )
    if stacks:
        laid_out = {masters[name]: stack for name, stack in stacks.items()}
        yield StackedMuon(laid_out, momentum=spec.momentum, weight_decay=spec.weight_decay)
    if rest:
        yield torch.optim.AdamW(rest, betas=(spec.beta1, spec.beta2), weight_decay=0.0, fused=True)
