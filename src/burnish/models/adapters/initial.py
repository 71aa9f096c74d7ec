"""LoRA initialised from the weights of the base (PiSSA, OLoRA), without a change of the base.

    W = W_res + s·B₀A₀                    A₀, B₀: of a singular value (PiSSA) or QR decomposition (OLoRA) of W
    W_res·x + s·BA·x                      what the papers train, from A = A₀ and B = B₀
    W·x + s·BA·x - s·B₀A₀·x               the same, and what is computed here

B₀A₀ is a second pair of matrices with the scale -s, which is not trained. So the base is not rounded to a residual,
an adapter that is switched off is the base, and the result is a plain adapter of rank 2r, with A' = [A; A₀] and
B' = [B, -B₀], as PEFT's `subtract_mutated_init` makes it.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from burnish.models.quantization.layers import float_weight

if TYPE_CHECKING:
    from peft import PeftModel

FROM_BASE = {"pissa": "pissa", "pissa_niter": "pissa_niter_16", "olora": "olora"}
"""Initialisations made from the base's weights, by their names in PEFT; 16 iterations are those of PEFT's example."""
_TRAINED, _FIXED = "default", "initial"


class _Fixed(nn.Module):
    """x·weightᵀ with a weight that is not trained: a buffer, as PEFT sets `requires_grad` of every parameter."""

    bias = None
    weight: Tensor

    def __init__(self, weight: Tensor):
        super().__init__()
        self.register_buffer("weight", weight)

    def forward(self, states: Tensor) -> Tensor:
        return nn.functional.linear(states, self.weight)


@torch.no_grad()
def start_from_base(model: "PeftModel", init: str) -> None:
    """Set A and B of every linear LoRA layer to A₀ and B₀, in float32, and add the fixed pair.

    Matrices of a layer whose smaller side is below the rank are padded with zeros. Errors: ModelError
    `model.unsupported` for a quantized base.
    """
    for _, layer in _layers(model):
        a, b = _decomposed(layer, init)
        layer.lora_A[_TRAINED].weight.data, layer.lora_B[_TRAINED].weight.data = a.clone(), b.clone()
        layer.lora_A[_FIXED], layer.lora_B[_FIXED] = _Fixed(a), _Fixed(b)
        layer.lora_dropout[_FIXED] = nn.Identity()
        layer.scaling[_FIXED] = -layer.scaling[_TRAINED]
        for settings in (layer.r, layer.lora_alpha, layer.use_rslora, layer.use_dora, layer.lora_bias):
            settings[_FIXED] = settings[_TRAINED]
        layer.set_adapter([_TRAINED, _FIXED])


def fixed_matrices(model: nn.Module) -> dict[str, Tensor]:
    """A₀ and B₀ of every layer by name; not copies. Empty for other initialisations."""
    return {
        f"{path}.weight": module.get_buffer("weight")
        for path, module in model.named_modules()
        if isinstance(module, _Fixed)
    }


def plain_tensors(model: "PeftModel", tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The adapter's tensors, by their names in PEFT's files, as those of a plain adapter of twice the rank."""
    joined = dict(tensors)
    for path, layer in _layers(model):
        for part, sign, side in (("lora_A", 1, 0), ("lora_B", -1, 1)):
            name = f"{path}.{part}.weight"
            fixed = getattr(layer, part)[_FIXED].weight.to(tensors[name])
            joined[name] = torch.cat([tensors[name], sign * fixed], dim=side).contiguous()
    return joined


def plain_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """PEFT's config of that adapter: the same scale at twice the rank."""
    rank, alpha = settings["r"], settings["lora_alpha"]
    alpha = 2 * alpha * rank**0.5 if settings["use_rslora"] else 2 * alpha
    whole = int(alpha) if alpha == int(alpha) else alpha
    return {**settings, "r": 2 * rank, "lora_alpha": whole, "use_rslora": False}


def _layers(model: nn.Module) -> Iterator[tuple[str, Any]]:
    from peft.tuners.lora.layer import LoraLayer

    return ((path, module) for path, module in model.named_modules() if isinstance(module, LoraLayer))


def _decomposed(layer: Any, init: str) -> tuple[Tensor, Tensor]:
    """A₀ [r, in] and B₀ [out, r] of a layer, by PEFT's own functions; the base is unchanged."""
    base, rank = layer.get_base_layer(), layer.r[_TRAINED]
    kept, is_transposed = base.weight, layer.fan_in_fan_out
    weight = float_weight(base)
    copied = (weight.T if is_transposed else weight).to(torch.float32, copy=True)
    base.weight, layer.fan_in_fan_out = nn.Parameter(copied, requires_grad=False), False  # PEFT changes it
    try:
        if init == "olora":
            layer.olora_init(_TRAINED)
        else:
            is_whole = rank >= min(weight.shape)  # more than the fast decomposition gives
            layer.pissa_init(_TRAINED, "pissa" if is_whole else FROM_BASE[init])
    finally:
        base.weight, layer.fan_in_fan_out = kept, is_transposed
    a, b = (part[_TRAINED].weight.data.float() for part in (layer.lora_A, layer.lora_B))
    missing = rank - len(a)
    return nn.functional.pad(a, (0, 0, 0, missing)), nn.functional.pad(b, (0, missing))
