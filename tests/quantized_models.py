"""Tiny models in the format of compressed-tensors, written value by value, and the weights that they stand for."""

import json
from pathlib import Path
from typing import Any

import torch
from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32
from safetensors.torch import load_file, save_file
from torch import Tensor

from burnish.models.companions import copy_companions

GROUP = 32


def packed_model(base: Path, out: Path, *, bits: int = 4, zero_points: bool = False) -> dict[str, Tensor]:
    """Write weights in groups of `GROUP` that share a scale, as W4A16 or W8A16; returns what they stand for."""
    found, stored = load_file(base / "model.safetensors"), dict[str, Tensor]()
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    for name, weight in list(found.items()):
        if not name.endswith("proj.weight"):
            stored[name] = weight
            continue
        groups = weight.reshape(len(weight), -1, GROUP)
        least = groups.amin(-1).clamp(max=0) if zero_points else -groups.abs().amax(-1)
        scale = (((groups.amax(-1).clamp(min=0) if zero_points else -least) - least) / (high - low)).clamp(min=1e-6)
        zero = (low - least / scale).round() if zero_points else torch.zeros_like(scale)
        values = (groups / scale[..., None] + zero[..., None]).round().clamp(low, high)
        found[name] = ((values - zero[..., None]) * scale[..., None]).reshape(weight.shape)
        stored[f"{name}_packed"] = pack_to_int32(values.reshape(weight.shape).to(torch.int8), bits)
        stored[f"{name}_scale"] = scale
        stored[f"{name}_shape"] = torch.tensor(weight.shape)
        if zero_points:
            stored[f"{name}_zero_point"] = pack_to_int32(zero.to(torch.int8), bits, packed_dim=0).contiguous()
    weights = {"num_bits": bits, "type": "int", "strategy": "group", "group_size": GROUP, "symmetric": not zero_points}
    _write(base, out, stored, "pack-quantized", {"weights": weights})
    return found


def rounding_model(base: Path, out: Path) -> dict[str, Tensor]:
    """Write weights as int8 with a scale for each row, whose inputs are int8 too (W8A8)."""
    found, stored = load_file(base / "model.safetensors"), dict[str, Tensor]()
    for name, weight in list(found.items()):
        stored[name] = weight
        if name.endswith("proj.weight"):
            scale = weight.abs().amax(-1, keepdim=True) / 127
            stored[name] = (weight / scale).round().to(torch.int8)
            stored[f"{name}_scale"] = scale
            found[name] = stored[name] * scale
    eight: dict[str, Any] = {"num_bits": 8, "type": "int", "symmetric": True}
    inputs = {**eight, "strategy": "token", "dynamic": True}
    group = {"weights": {**eight, "strategy": "channel"}, "input_activations": inputs}
    _write(base, out, stored, "int-quantized", group)
    return found


def _write(base: Path, out: Path, stored: dict[str, Tensor], form: str, group: dict[str, Any]) -> None:
    out.mkdir(parents=True)
    copy_companions(base, out)
    save_file(stored, out / "model.safetensors", {"format": "pt"})
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    config["quantization_config"] = {
        "config_groups": {"group_0": {"targets": ["Linear"], "format": form, **group}},
        "format": form,
        "ignore": ["lm_head"],
        "quant_method": "compressed-tensors",
        "quantization_status": "compressed",
    }
    (out / "config.json").write_text(json.dumps(config), encoding="utf-8")
