"""Writes a GGUF file tensor by tensor: memory holds one weight in float32 and its encoded bytes."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf import GGUFValueType, GGUFWriter
from numpy.typing import NDArray

from burnish.core.errors import ModelError
from burnish.export.gguf.shapes import Plan
from burnish.export.gguf.types import FILE_TYPES, Mix, Type, encode, size_of

_QUANTIZATION = 2
"""The version of ggml's quantized formats."""


@dataclass(frozen=True)
class Written:
    """What a file holds."""

    tensors: Mapping[str, str]
    """The type of each."""
    bytes: int


def write(
    path: Path,
    plan: Plan,
    weights: Mapping[str, torch.Tensor],
    keys: Mapping[str, Any],
    file_type: str,
    *,
    threads: int = 1,
    importance: Mapping[str, NDArray[np.float32]] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Written:
    """Write the file with the keys of the plan and of `keys`; `weights` are read one at a time.

    `importance` is that of the columns, by weight.

    Errors: those of reading a weight; ModelError `model.broken` for values that the type cannot hold.
    """
    writer = GGUFWriter(path, plan.architecture)
    heads, key_heads = (plan.keys[f"{plan.architecture}.attention.{name}"] for name in ("head_count", "head_count_kv"))
    mix = Mix(
        file_type, plan.architecture, plan.layers, plan.experts, plan.is_tied, heads // key_heads, bool(importance)
    )
    for key, value in {**plan.keys, **keys, "general.file_type": int(FILE_TYPES[file_type][0])}.items():
        _add(writer, key, value)
    if any(kind not in (Type.F32, Type.F16, Type.BF16) for kind in (FILE_TYPES[file_type][1],)):
        _add(writer, "general.quantization_version", _QUANTIZATION)
    shapes = {name: values.shape for name, values in plan.constants.items()}
    shapes |= {source.name: source.shape for source in plan.sources}
    types = {name: mix.of(name, shape) for name, shape in shapes.items()}
    for name, shape in shapes.items():
        writer.add_tensor_info(name, shape, np.dtype(np.float32), size_of(types[name], shape), types[name])
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for done, (name, weight, values) in enumerate(_values(plan, weights), 1):
            columns = (importance or {}).get(weight)
            writer.write_tensor_data(encode(name, values, types[name], threads, columns))
            progress(done, len(shapes))
    finally:
        writer.close()
    return Written({name: kind.name for name, kind in types.items()}, path.stat().st_size)


def _values(plan: Plan, weights: Mapping[str, torch.Tensor]) -> Iterator[tuple[str, str, NDArray[np.float32]]]:
    """The tensors in order, each with its weight; one that several come from in turn is read once."""
    for name, values in plan.constants.items():
        yield name, "", values
    held: tuple[str, torch.Tensor] | None = None
    for source in plan.sources:
        if held is None or held[0] != source.weight:
            held = None  # the last weight is freed before the next is read
            held = (source.weight, weights[source.weight])
        yield source.name, source.weight, source.of(held[1]).contiguous().numpy()


def _add(writer: GGUFWriter, key: str, value: Any) -> None:
    kinds = {bool: GGUFValueType.BOOL, int: GGUFValueType.UINT32, float: GGUFValueType.FLOAT32}
    if type(value) is int and not 0 <= value < 1 << 32:
        what = f"{key} is {value:,}, and a GGUF file holds numbers from 0 to {(1 << 32) - 1:,}"
        raise ModelError("model.unsupported", what, "correct config.json, or generation_config.json")
    if isinstance(value, list):
        inner = GGUFValueType.INT32 if type(value[0]) is int else None
        writer.add_key_value(key, value, GGUFValueType.ARRAY, sub_type=inner)
    else:
        writer.add_key_value(key, value, kinds.get(type(value), GGUFValueType.STRING))
