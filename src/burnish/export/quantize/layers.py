"""Which layers of a model are quantized, and in groups of how many weights."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from burnish.core.errors import AskError, ModelError
from burnish.core.naming import nearest
from burnish.models.layout import skeleton_of
from burnish.models.load import check_vocabulary, read_config, refuse_remote_code, refuse_unscaled
from burnish.models.weights import read_tensors

GROUPS = (128, 64, 32)
_ROUTER = r"re:.*\b(gate|router|shared_expert_gate)$"


@dataclass(frozen=True)
class Layers:
    """The linear layers that are quantized."""

    columns: dict[str, int]
    """By path; stacked experts by the path of their tensor."""
    ignored: tuple[str, ...]
    """What is not, as compressed-tensors reads it: paths, and `re:` with a regular expression."""
    has_experts: bool
    parameters: int
    """Of the layers."""
    others: int
    """Parameters that stay as they are: embedding, head, norms."""


def layers_of(folder: Path, ignore: Sequence[str] = (), *, stacked: bool = True) -> Layers:
    """The layers of a model folder, without the head, the routers of experts, and what `ignore` names.

    `stacked` experts are layers for llm-compressor, which takes them apart, and not for bitsandbytes.

    Errors: those of reading the config; ModelError `model.unsupported` for a model that is quantized, or has no such
    layer; `model.unknown-target` for a name in `ignore` that no layer has.
    """
    from torch import nn

    config = read_config(folder)
    refuse_remote_code(folder / "config.json", config)
    if "quantization_config" in config:
        raise ModelError("model.unsupported", f"{folder} is quantized already", "quantize the original weights")
    refuse_unscaled(folder, config)
    check_vocabulary(folder, config)
    read_tensors(folder)  # a missing file is reported before the long work
    skeleton = skeleton_of(folder, config)
    head = skeleton.get_output_embeddings()
    linear = {path: module for path, module in skeleton.named_modules() if isinstance(module, nn.Linear)}
    sizes = {path: (int(module.weight.shape[-1]), module.weight.numel()) for path, module in linear.items()}
    experts = {
        name: (int(weight.shape[-1]), weight.numel())
        for name, weight in skeleton.named_parameters()
        if weight.ndim == 3 and "expert" in name
    }
    layers = {**sizes, **(experts if stacked else {})}
    ignored = [path for path, module in linear.items() if module is head] + ([_ROUTER] if experts else [])
    for name in ignore:
        if not any(matches(name, path) for path in layers):
            raise ModelError(
                "model.unknown-target", f"ignore: no linear layer of {folder} is '{name}'", nearest(name, linear)
            )
    every = tuple(dict.fromkeys([*ignored, *ignore]))
    taken = {path: size for path, size in layers.items() if not any(matches(n, path) for n in every)}
    if not taken:
        what = f"{folder}: this {config['model_type']} model has no linear layer that can be quantized"
        raise ModelError("model.unsupported", what, "use burnish gguf")
    parameters = sum(numel for _, numel in taken.values())
    total = sum(weight.numel() for weight in skeleton.parameters())
    return Layers({path: size[0] for path, size in taken.items()}, every, bool(experts), parameters, total - parameters)


def matches(name: str, path: str) -> bool:
    """Whether an entry of `ignore` is of that layer, as compressed-tensors decides it."""
    return re.match(name[3:], path) is not None if name.startswith("re:") else name == path


def group_size(layers: Layers, wanted: "int | str") -> int:
    """The size of a group: the one that is wanted, or the largest by which all columns can be divided.

    Errors: AskError `ask.wrong-value` with the first layer that it does not fit.
    """
    for size in GROUPS if wanted == "auto" else (int(wanted),):
        odd = [path for path, columns in layers.columns.items() if columns % size]
        if not odd:
            return size
    path = odd[0]
    raise AskError(
        "ask.wrong-value",
        f"groups of {size} weights do not fit {len(odd)} layers: '{path}' has {layers.columns[path]} columns",
        f"use a smaller group_size, or leave them out: ignore: [{path}]",
    )
