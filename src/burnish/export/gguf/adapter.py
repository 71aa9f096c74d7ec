"""Writes a LoRA adapter as a GGUF file of its own, for llama.cpp's `--lora`: its matrices in float32."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf import GGUFValueType, GGUFWriter

from burnish.core.errors import ModelError
from burnish.export.gguf.shapes import Source as Tensor
from burnish.export.gguf.tensors import planned
from burnish.models.adapters.changes import Change, LowRank, changes_of
from burnish.models.bases import Source as Adapter
from burnish.models.bases import chain_of, folder_of
from burnish.models.layout import skeleton_of
from burnish.models.load import read_config
from burnish.models.tensors import read_tensor


def write_adapter(path: Path, source: Adapter, name: str) -> int:
    """Write the adapter; the number of weights that it changes.

    llama.cpp adds alpha / rank · B·A, with one alpha for the file: B is scaled where a layer has another factor.
    Errors: ModelError `model.unsupported` for changes that are not LoRA's of linear layers.
    """
    adapter, *below = map(folder_of, chain_of(source))
    if len(below) != 1:
        raise _unsupported("its base is an adapter or missing")
    plan, _ = planned(below[0])
    tensors = {tensor.weight: tensor for tensor in plan.sources}
    changes = changes_of(adapter, skeleton_of(below[0], read_config(below[0])))
    pairs = {weight: _pair(weight, change, tensors.get(weight)) for weight, change in changes.items()}
    alphas = [scale * matrix.shape[0] for matrix, _, scale in pairs.values()]
    of_file = next(filter(None, alphas), 1.0)
    writer = GGUFWriter(path, plan.architecture)
    for key, value in {"general.type": "adapter", "general.name": name, "adapter.type": "lora"}.items():
        writer.add_key_value(key, value, GGUFValueType.STRING)
    writer.add_key_value("adapter.lora.alpha", float(of_file), GGUFValueType.FLOAT32)
    for (weight, (a, b, _)), alpha in zip(pairs.items(), alphas, strict=True):
        writer.add_tensor(f"{tensors[weight].name}.lora_a", a)
        writer.add_tensor(f"{tensors[weight].name}.lora_b", b * np.float32(alpha / of_file))
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()
    return len(pairs)


def _pair(weight: str, change: Change, tensor: Tensor | None) -> tuple[Any, Any, float]:
    """A [rank, in], B [out, rank] in the order of the file's rows, and the factor of their product."""
    if not isinstance(change, LowRank) or change.layer != "linear" or change.experts is not None:
        raise _unsupported(f"'{weight}' is not changed by the two matrices of a linear layer")
    if change.magnitude is not None:
        raise _unsupported(f"'{weight}' has the magnitudes of DoRA")
    if tensor is None or tensor.how in ("first half", "second half"):
        raise _unsupported(f"'{weight}' has no tensor of its own in a GGUF file")
    with torch.no_grad():
        return read_tensor(change.a).float().numpy(), tensor.of(read_tensor(change.b).float()).numpy(), change.scale


def _unsupported(why: str) -> ModelError:
    return ModelError(
        "model.unsupported",
        f"the adapter cannot be a GGUF file of its own: {why}",
        "write base and adapter as one file: remove form: lora",
    )
