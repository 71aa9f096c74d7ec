"""Loads a model, or an adapter on its base, from a folder: complete, from safetensors, without running its code.

A model with missing or unexpected weights is refused: transformers would initialise missing ones at random and only
warn.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from burnish.core.errors import MachineError, ModelError
from burnish.core.faults import is_out_of_memory, reason
from burnish.models.adapters.attach import load_adapter, without_adapter
from burnish.models.bases import Source, chain_of, folder_of
from burnish.models.quantization.compressed import loading_settings
from burnish.models.quantization.record import Quantization, read_quantization
from burnish.models.quantization.stored import stood_for
from burnish.models.quiet import quiet_transformers
from burnish.models.weights import broken, read_json, read_tensors, refuse_integers

if TYPE_CHECKING:
    import torch
    from peft import PeftModel
    from transformers import PreTrainedModel

_TEXT_CONFIG = "text_config"
_OTHER_MODALITIES = ("image_token", "audio_token", "video_token")


@dataclass(frozen=True)
class ModelCard:
    """A summary of a model, from its config and the headers of its weights."""

    family: str
    parameters: int
    dtype: str
    layers: int
    hidden: int
    vocabulary: int
    context: int
    bytes: int
    """Bytes of the weights on disk."""


def describe(path: Path) -> ModelCard:
    """The summary of a model folder, in milliseconds and without torch; `dtype` is that of most weights."""
    config = read_config(path)
    text = {**config, **config.get(_TEXT_CONFIG, {})}
    refuse_unscaled(path, config)
    tensors = read_tensors(path)
    sizes: dict[str, int] = {}
    for dtype, size in stood_for(tensors):
        sizes[dtype] = sizes.get(dtype, 0) + size
    return ModelCard(
        family=config["model_type"],
        parameters=sum(sizes.values()),
        dtype=max(sizes, key=lambda dtype: sizes[dtype], default=""),
        layers=text.get("num_hidden_layers", text.get("n_layer", 0)),
        hidden=text.get("hidden_size", text.get("n_embd", 0)),
        vocabulary=text.get("vocab_size", 0),
        context=text.get("max_position_embeddings", text.get("n_positions", 0)),
        bytes=sum(tensor.bytes for tensor in tensors.values()),
    )


def read_config(folder: Path) -> dict[str, Any]:
    """The `config.json` of a model folder.

    Errors: ModelError `model.not-found` if the folder or config is missing, `model.broken` if it has no `model_type` or
    the generation config cannot be read.
    """
    if not folder.is_dir():
        raise ModelError("model.not-found", f"there is no folder {folder}", "check the path or the name of the model")
    if not (folder / "config.json").is_file():
        raise ModelError(
            "model.not-found",
            f"{folder} is not a model: it has no config.json",
            "give the folder with config.json and the weights",
        )
    config = read_json(folder / "config.json")
    if not isinstance(config.get("model_type"), str):
        raise broken(folder / "config.json", "has no model_type")
    if (folder / "generation_config.json").is_file():
        read_json(folder / "generation_config.json")  # transformers would ignore a damaged one
    return config


def load_model(
    source: Source,
    *,
    dtype: "torch.dtype | None" = None,
    device: "str | torch.device" = "cpu",
    attention: str | None = None,
) -> "PreTrainedModel | PeftModel":
    """A causal language model in eval mode; an adapter is loaded on its base, as a PeftModel.

    `dtype` None keeps the dtype of the files, `attention` None lets transformers choose. If the base of an adapter is
    itself an adapter, that one is merged first. A base is quantized if it was in the training of the adapter.

    Errors: ModelError `model.not-found`, `model.broken`, `model.pickle`, `model.remote-code`, `model.wrong-adapter`;
    MachineError `machine.no-package` when a quantized model needs a missing library.
    """
    chain = chain_of(source)
    if len(chain) == 1:
        return load_plain(source, dtype=dtype, device=device, attention=attention)
    adapter = folder_of(chain[0])
    quantization = read_quantization(adapter)
    base = load_plain(chain[1], dtype=dtype, device=device, attention=attention, quantization=quantization)
    return load_adapter(base, adapter)


def load_plain(
    source: Source,
    *,
    dtype: "torch.dtype | None" = None,
    device: "str | torch.device" = "cpu",
    attention: str | None = None,
    quantization: Quantization | None = None,
) -> "PreTrainedModel":
    """As `load_model`, with adapters merged and then, if `quantization` is given, the linear layers in 4 bits.

    An adapter is merged into the weights that it was trained on: those of a quantized base are dequantized first.
    Errors: those of `load_model`; MachineError `machine.no-device` for 4 bits on an Apple GPU.
    """
    *adapters, whole = map(folder_of, chain_of(source))
    records = [read_quantization(adapter) for adapter in adapters]
    if not any([quantization, *records]):
        model: Any = _load_whole(whole, dtype, device, attention)
        for adapter in reversed(adapters):
            model = without_adapter(load_adapter(model, adapter))
        return model
    import torch

    from burnish.models.quantization import layers
    from burnish.models.quantization.library import require
    from burnish.models.tensors import DTYPES

    require("a base in 4 bits", torch.device(device).type)
    in_files = DTYPES.get(describe(whole).dtype, torch.float32)
    dtype = dtype or in_files
    if not adapters:  # a narrower dtype would round the weights before they are quantized
        model = _load_whole(
            whole, dtype if dtype == in_files else torch.float32, device, attention, quantization=quantization
        )
    else:
        model = _load_whole(whole, torch.float32, device, attention)
        for adapter, record in reversed(list(zip(adapters, records, strict=True))):
            if record is not None:
                layers.dequantize(model, record)
            model = without_adapter(load_adapter(model, adapter))
        if quantization is not None:
            layers.quantize(model, quantization)
    if quantization is not None and quantization.layers:
        layers.refuse_other_layers(whole, tuple(layers.in_four_bits(model)), quantization.layers)
    layers.prepare(model)
    layers.cast(model, dtype)
    return model


def load_classifier(
    folder: Path, *, dtype: "torch.dtype | None" = None, device: "str | torch.device" = "cpu"
) -> "PreTrainedModel":
    """A sequence classifier in eval mode; a language model has no such head and is refused.

    Errors: those of `load_model`.
    """
    return _load_whole(folder, dtype, device, None, "sequence classifier")


def load_masked(
    folder: Path, *, dtype: "torch.dtype | None" = None, device: "str | torch.device" = "cpu"
) -> "PreTrainedModel":
    """A masked language model, such as BERT, in eval mode. Errors: those of `load_model`."""
    return _load_whole(folder, dtype, device, None, "masked language model")


def _load_whole(
    folder: Path,
    dtype: "torch.dtype | None",
    device: "str | torch.device",
    attention: str | None,
    role: Literal["causal language model", "sequence classifier", "masked language model"] = "causal language model",
    quantization: Quantization | None = None,
) -> "PreTrainedModel":
    config = read_config(folder)
    refuse_remote_code(folder / "config.json", config)
    refuse_unscaled(folder, config)
    check_vocabulary(folder, config)
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSequenceClassification

    from burnish.models.quantization.layers import prepare, refuse_other_shapes
    from burnish.models.tensors import refuse_not_finite

    kinds: dict[str, Any] = {"sequence classifier": AutoModelForSequenceClassification}
    kind = (kinds | {"masked language model": AutoModelForMaskedLM}).get(role, AutoModelForCausalLM)
    settings = loading_settings(config) if quantization is None else _in_four_bits(folder, config, quantization)
    is_moved = torch.device(device).type != "cpu" or quantization is not None
    with quiet_transformers():
        try:
            loaded: Any = kind.from_pretrained(
                folder,
                dtype=dtype or "auto",
                attn_implementation=attention,
                device_map={"": torch.device(device)} if is_moved else None,
                **settings,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # listed in the loading info, and refused by name
            )
        except ImportError as error:  # a quantized model needs its library
            raise MachineError(
                "machine.no-package",
                f"{folder} needs a package that is not installed: {reason(error)}",
                "install it, or use the model's original weights",
            ) from error
        except Exception as error:  # transformers may raise anything for files from elsewhere
            _raise_if_machine(error)
            raise ModelError(
                "model.broken",
                f"{folder} cannot be loaded as a {config['model_type']} {role}: {reason(error)}",
                "check that config.json and the weights belong together",
            ) from error
    model, found = loaded
    _refuse_half_a_model(folder, found)
    refuse_not_finite(folder, dict(model.named_parameters()))
    refuse_other_shapes(folder, model)
    prepare(model)
    return model


def _in_four_bits(folder: Path, config: dict[str, Any], quantization: Quantization) -> dict[str, Any]:
    """The arguments with which transformers quantizes each weight as it reads it.

    The weights are checked in the files: 4-bit ones have any shape for transformers, and hide values that are not
    finite. Errors: ModelError `model.broken`, `model.unsupported`.
    """
    from burnish.models.layout import skeleton_of
    from burnish.models.quantization.layers import config_of, with_layers
    from burnish.models.tensors import DTYPES, read_tensor, refuse_not_finite

    if "quantization_config" in config:
        raise ModelError(
            "model.unsupported",
            f"{folder} is quantized already, so its layers cannot be quantized to {quantization.kind}",
            "use method: lora, which trains an adapter on the weights as they are, or the original weights",
        )
    skeleton = skeleton_of(folder, config)
    quantization = with_layers(quantization, skeleton)
    if not quantization.layers:
        raise ModelError(
            "model.unsupported",
            f"{folder}: this {config['model_type']} model has no linear layer that bitsandbytes can quantize",
            "use method: lora",
        )
    for tensor in read_tensors(folder).values():
        if tensor.dtype in DTYPES:
            refuse_not_finite(tensor.file, {tensor.name: read_tensor(tensor)})
    return {"quantization_config": config_of(skeleton, quantization)}


def refuse_unscaled(folder: Path, config: dict[str, Any]) -> None:
    """ModelError `model.broken` for integer weights whose scales no quantization_config of `config` gives."""
    text = config.get(_TEXT_CONFIG)
    parts = (config, text if isinstance(text, dict) else {})
    if not any("quantization_config" in part or "compression_config" in part for part in parts):
        refuse_integers(folder, read_tensors(folder).values())


def _raise_if_machine(error: Exception) -> None:
    """Re-raise errors that are not the model's: out of memory, a file without read permission."""
    if isinstance(error, PermissionError) or is_out_of_memory(error):
        raise error


def _refuse_half_a_model(folder: Path, found: dict[str, Any]) -> None:
    problems = {
        "weights that config.json needs are missing": found.get("missing_keys"),
        "weights are not part of the model that config.json describes": found.get("unexpected_keys"),
        "weights have other shapes than in config.json": [key for key, *_ in found.get("mismatched_keys") or ()],
        "weights cannot be read": found.get("error_msgs"),
    }
    for problem, keys in problems.items():
        if keys:
            names = sorted(map(str, keys))
            raise ModelError(
                "model.broken",
                f"{folder}: {len(names)} {problem}, the first is '{names[0]}'",
                "check that config.json and all weight files are complete and of the same model",
            )


def refuse_remote_code(path: Path, config: dict[str, Any]) -> None:
    """ModelError `model.remote-code` when only the model's own code could load it.

    Families that transformers supports are loaded by its code, regardless of `auto_map`.
    """
    if "auto_map" not in config:
        return
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    if config.get("model_type") not in CONFIG_MAPPING:
        raise ModelError(
            "model.remote-code",
            f"{path} needs its own code (auto_map): transformers does not support '{config.get('model_type')}'",
            "use a model of a family that transformers supports; burnish never runs a model's own code",
        )


def check_vocabulary(folder: Path, config: dict[str, Any]) -> None:
    """Every id of the tokenizer must have a row in the embedding; a larger, padded embedding is fine."""
    path = folder / "tokenizer.json"
    rows = {**config, **config.get(_TEXT_CONFIG, {})}.get("vocab_size")
    if rows is None or not path.is_file():
        return
    tokenizer = read_json(path)
    settings = folder / "tokenizer_config.json"
    named = read_json(settings) if settings.is_file() else {}
    # a text model of a multimodal family may keep the image placeholder, one past its embedding (Gemma 3 1B)
    placeholders = [named.get(key) for key in _OTHER_MODALITIES]
    vocabulary = tokenizer.get("model", {}).get("vocab", {})
    highest = max(vocabulary.values(), default=-1) if isinstance(vocabulary, dict) else len(vocabulary) - 1
    for token in tokenizer.get("added_tokens", ()):
        if token["content"] not in placeholders:
            highest = max(highest, token["id"])
    if highest >= rows:
        raise ModelError(
            "model.broken",
            f"{path} has token ids up to {highest}, but the model in {folder} has only {rows} embeddings",
            "use the tokenizer that belongs to the model, or resize the model's embedding",
        )
