"""Quantizes the linear layers of a model to 4 bits with bitsandbytes, which layers transformers' own loader selects.

The 4-bit values depend on the weights in the model's files only, not on the dtype of a run: the weights are quantized
as they are in the files, and the rest of the model is cast afterwards.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from burnish.core.errors import ModelError
from burnish.core.events import Note
from burnish.core.files import file_size
from burnish.models.dtypes import dtypes_in
from burnish.models.quantization.library import require
from burnish.models.quantization.record import BLOCK, Quantization

if TYPE_CHECKING:
    from transformers import BitsAndBytesConfig, PreTrainedModel

_SHOWN = 4


def layers_of(skeleton: "PreTrainedModel", skip: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Paths of the layers that transformers quantizes, without those of the modules named in `skip`.

    All linear layers but the output head, tied ones and the last module. A stacked weight of experts is not a layer.
    """
    from transformers.quantizers.quantizers_utils import should_convert_module

    tied: dict[str, str] = getattr(skeleton, "all_tied_weights_keys", None) or {}
    last = [name for name, _ in skeleton.named_parameters(remove_duplicate=False)][-1:]
    kept = [name.removesuffix(".weight") for name in (*tied, *tied.values(), *last)]
    head = skeleton.get_output_embeddings()
    kept += [path for path, module in skeleton.named_modules() if module is head]
    kept += skeleton._keep_in_fp32_modules or ()
    return tuple(
        path
        for path in _linear(skeleton)
        if should_convert_module(path, kept) and not any(_is_in(path, name) for name in skip)
    )


def _linear(model: nn.Module) -> list[str]:
    """Paths of the layers that can be quantized."""
    from transformers.pytorch_utils import Conv1D

    return [path for path, module in model.named_modules() if isinstance(module, Conv1D) or type(module) is nn.Linear]


def _is_in(path: str, name: str) -> bool:
    """True for a module of that name, and for one inside it."""
    return f".{name}." in f".{path}."


def config_of(skeleton: "PreTrainedModel", quantization: Quantization) -> "BitsAndBytesConfig":
    """The settings of transformers' loader that quantize exactly `quantization.layers`."""
    from transformers import BitsAndBytesConfig

    others = set(_linear(skeleton)) - set(quantization.layers)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=quantization.kind,
        bnb_4bit_use_double_quant=quantization.double,
        llm_int8_skip_modules=[f"{re.escape(path)}$" for path in sorted(others)],
    )


def quantize(model: "PreTrainedModel", quantization: Quantization) -> None:
    """Replace the layers of a loaded model one by one, so that one layer at a time exists twice."""
    from transformers.pytorch_utils import Conv1D

    bnb = require("a base in 4 bits", model.device.type)
    for path in quantization.layers or layers_of(model, quantization.skip):
        layer: Any = model.get_submodule(path)
        device = layer.weight.device
        weight = (layer.weight.T if isinstance(layer, Conv1D) else layer.weight).detach().contiguous()
        with torch.device("meta"):
            made = bnb.nn.Linear4bit(
                weight.shape[1],
                weight.shape[0],
                layer.bias is not None,
                compress_statistics=quantization.double,
                quant_type=quantization.kind,
            )
        made.weight = bnb.nn.Params4bit(
            weight,
            requires_grad=False,
            blocksize=BLOCK,
            compress_statistics=quantization.double,
            quant_type=quantization.kind,
            module=made,
        ).to(device)
        made.bias = layer.bias
        made.source_cls = type(layer)
        model.set_submodule(path, made.requires_grad_(False))
    model.is_loaded_in_4bit = True  # pyright: ignore  (PEFT asks for it)


def in_four_bits(model: nn.Module) -> dict[str, Any]:
    """The 4-bit layers of a model by their paths, without the prefixes of PEFT."""
    return {
        path.removeprefix("base_model.model.").removesuffix(".base_layer"): module
        for path, module in model.named_modules()
        if type(module).__name__ == "Linear4bit" and hasattr(module, "quant_state")
    }


def quantization_of(model: nn.Module) -> Quantization | None:
    """How the model was quantized while it was loaded; None for one that was not, or whose files are quantized."""
    layers = in_four_bits(model)
    quantizers = [getattr(module, "hf_quantizer", None) for module in model.modules()]
    if not layers or any(getattr(quantizer, "pre_quantized", False) for quantizer in quantizers):
        return None
    weight = next(iter(layers.values())).weight
    return Quantization(weight.quant_type, weight.compress_statistics, tuple(layers))


def refuse_other_layers(where: object, found: tuple[str, ...], recorded: tuple[str, ...]) -> None:
    """ModelError `model.wrong-adapter` where other layers are quantized than in the training of the adapter."""
    for path in sorted(set(found) ^ set(recorded)):
        what = "is not quantized" if path in recorded else "is quantized"
        raise ModelError(
            "model.wrong-adapter",
            f"{where}: '{path}' {what}, unlike in the training of the adapter",
            "use the base and the version of transformers that the adapter was trained with",
        )


def refuse_other_shapes(where: object, model: nn.Module) -> None:
    """ModelError `model.broken` for a weight of another shape than its layer: transformers does not compare them."""
    for path, layer in in_four_bits(model).items():
        found, expected = list(layer.weight.quant_state.shape), [layer.out_features, layer.in_features]
        if found != expected:
            raise ModelError(
                "model.broken",
                f"{where}: the weight of '{path}' is {found}, and config.json needs {expected}",
                "check that config.json and all weight files are complete and of the same model",
            )


def prepare(model: "PreTrainedModel") -> None:
    """Keep 4-bit layers as they are in eval mode.

    On a CPU bitsandbytes repacks their weights in the first eval pass, in place, and a later backward pass reads the
    new order as the old one.
    """
    for layer in in_four_bits(model).values():
        layer.support_avx512bf16_for_cpu = False


def cast(model: "PreTrainedModel", dtype: torch.dtype) -> None:
    """Cast all but the 4-bit weights as if the model had been loaded in `dtype`; the layers compute in it."""
    for layer in in_four_bits(model).values():
        layer.compute_dtype, layer.compute_type_is_set = dtype, True
        layer.weight.quant_state.dtype = dtype  # else forward and backward passes read different weights
    expected = dtypes_in(model, dtype)
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        wanted = expected.get(name)
        if wanted is not None and tensor.is_floating_point() and tensor.dtype != wanted:
            tensor.data = tensor.data.to(wanted)
    for part in (model.config, model.config.get_text_config()):
        part.dtype = dtype


def round_trip(weight: Tensor, quantization: Quantization, transposed: bool = False) -> Tensor:
    """The weight after it was quantized and dequantized, in its own dtype; `transposed`: it is stored as [in, out]."""
    functional = require("a base in 4 bits", weight.device.type).functional
    matrix = (weight.T if transposed else weight).detach().contiguous()
    packed, state = functional.quantize_4bit(
        matrix, blocksize=BLOCK, compress_statistics=quantization.double, quant_type=quantization.kind
    )
    found = functional.dequantize_4bit(packed, state)
    return found.T.contiguous() if transposed else found


@torch.no_grad()
def dequantize(model: "PreTrainedModel", quantization: Quantization) -> None:
    """Give a float model the weights that its layers have in 4 bits."""
    from transformers.pytorch_utils import Conv1D

    for path in quantization.layers:
        layer: Any = model.get_submodule(path)
        layer.weight.copy_(round_trip(layer.weight, quantization, isinstance(layer, Conv1D)))


def float_weight(layer: Any) -> Tensor:
    """The weight of a layer; one in 4 bits is dequantized."""
    weight: Any = layer.weight.detach()
    state = getattr(layer.weight, "quant_state", None)
    if state is None:
        return weight
    return require("a base in 4 bits", weight.device.type).functional.dequantize_4bit(weight.data, state)


def with_layers(quantization: Quantization, skeleton: "PreTrainedModel") -> Quantization:
    """The quantization with the paths of its layers."""
    return quantization if quantization.layers else replace(quantization, layers=layers_of(skeleton, quantization.skip))


def report(model: nn.Module) -> list[Note]:
    """What is held in 4 bits and what is not, with the memory saved; empty for a model in float."""
    layers = in_four_bits(model)
    if not layers:
        return []
    packed = sum(map(_stored, layers.values()))
    dtype = next(iter(layers.values())).compute_dtype or torch.float32
    before = sum(layer.in_features * layer.out_features for layer in layers.values()) * dtype.itemsize
    others = {
        name.replace(".original_module.", ".").replace(".base_layer.", "."): weight
        for name, weight in model.named_parameters()
        if type(weight).__name__ != "Params4bit" and ".lora_" not in name and ".modules_to_save." not in name
    }
    matrices = {name: weight for name, weight in others.items() if weight.ndim > 1}
    kept = _bytes(matrices.values())
    names = sorted({name.rsplit(".", 2)[-2] for name in matrices})
    shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
    kind = next(iter(layers.values())).weight.quant_type
    text = f"{len(layers)} linear layers are held in {kind}: {file_size(packed)} instead of {file_size(before)}"
    notes = [Note(text=f"{text}; not quantized: {shown} ({file_size(kept)}) and vectors")]
    experts = _bytes(weight for name, weight in matrices.items() if weight.ndim == 3 and "expert" in name)
    if experts:
        text = f"the stacked weights of experts are not quantized ({file_size(experts)})"
        notes.append(Note(level="warning", text=f"{text}: bitsandbytes has no layer for them"))
    return notes


def _stored(layer: Any) -> int:
    """Bytes of a 4-bit weight, its scales included."""
    state = layer.weight.quant_state
    return _bytes([layer.weight, state.absmax] + ([state.state2.absmax] if state.nested else []))


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
