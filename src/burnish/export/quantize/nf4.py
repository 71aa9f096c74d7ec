"""Quantizes a model to NF4 with bitsandbytes in this process, and writes it as transformers loads it."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from burnish.export.quantize.layers import Layers
from burnish.models.load import load_plain
from burnish.models.quantization.record import Quantization


def write_nf4(base: Path, out: Path, layers: Layers, *, double: bool, device: torch.device) -> dict[str, str]:
    """Write `base` with `layers` in NF4 to `out`; returns the versions of the packages that did it.

    `double`: the scales are quantized, too. Errors: those of loading; MachineError `machine.no-package`.
    """
    model: Any = load_plain(base, device=device, quantization=Quantization("nf4", double, tuple(layers.columns)))
    model.config.quantization_config.bnb_4bit_compute_dtype = (
        model.config.dtype
    )  # that of other tools, if unset: float32
    model.save_pretrained(out)
    return {name: version(name) for name in ("bitsandbytes", "transformers", "torch")}
