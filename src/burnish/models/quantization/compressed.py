"""Models in the format of compressed-tensors, which llm-compressor writes: how they are loaded, and what they hold.

Weights alone in few bits become float when they are loaded: transformers does the same at the first forward pass, but
cannot read zero points then. Where activations are quantized too, the layers stay as they are: in float, the rounding
of activations would be lost, and a measurement better than the model.
"""

from collections.abc import Mapping
from typing import Any

from burnish.core.errors import MachineError, ModelError
from burnish.core.faults import reason

METHOD = "compressed-tensors"


def loading_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `from_pretrained` for a model with this config.

    Errors: MachineError `machine.no-package`.
    """
    stored = config.get("quantization_config")
    if not isinstance(stored, dict) or stored.get("quant_method") != METHOD:
        return {}
    check_package()
    if rounds_activations(stored):
        return {}
    from transformers import CompressedTensorsConfig

    return {"quantization_config": CompressedTensorsConfig(dequantize=True)}


def check_package() -> None:
    """MachineError `machine.no-package` where models in this format cannot be loaded."""
    try:
        import compressed_tensors  # noqa: F401
    except ImportError as error:
        what = f"a model in the format of compressed-tensors needs that package: {reason(error)}"
        raise MachineError("machine.no-package", what, "pip install 'burnish[quantize]'") from error


def rounds_activations(stored: Mapping[str, Any]) -> bool:
    """Whether inputs, outputs or the cache of keys and values are quantized when the model runs."""
    groups = _groups(stored)
    return bool(stored.get("kv_cache_scheme")) or any(
        group.get("input_activations") or group.get("output_activations") for group in groups
    )


def refuse_rounded_activations(model: Any, what: str) -> None:
    """ModelError `model.unsupported` for a loaded model that rounds its activations; `what` cannot be done with it."""
    if rounds_inputs(model):
        raise ModelError(
            "model.unsupported",
            f"{what} a model that quantizes its activations: they are rounded, and have no gradient",
            "use the original weights, and quantize the result",
        )


def rounds_inputs(model: Any) -> bool:
    """Whether a loaded model rounds its activations."""
    stored = getattr(getattr(model, "config", None), "quantization_config", None)
    return getattr(stored, "quant_method", None) == METHOD  # weights alone are float by now


def scheme_of(stored: Mapping[str, Any]) -> str:
    """The kind of change, as certificates name it: W4A16, W8A16, INT8, FP8; "" for others, and for mixtures."""
    found = {_scheme(group) for group in _groups(stored)}
    return found.pop() if len(found) == 1 else ""


def _scheme(group: Mapping[str, Any]) -> str:
    weights, inputs = group.get("weights") or {}, group.get("input_activations")
    kind = (weights.get("type"), weights.get("num_bits"))
    if kind == ("float", 8):
        return "FP8"
    if kind == ("int", 8):
        return "W8A8" if inputs else "W8A16"
    return "W4A16" if kind == ("int", 4) and not inputs else ""


def _groups(stored: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    groups = stored.get("config_groups")
    return [group for group in groups.values() if isinstance(group, dict)] if isinstance(groups, dict) else []
