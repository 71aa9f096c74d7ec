"""The kind of change between a parent and a child, found from their files."""

from typing import Any

from burnish.core.errors import AskError
from burnish.models.bases import Source, chain_of, folder_of, is_adapter, whole_model
from burnish.models.load import describe, read_config
from burnish.models.quantization.record import read_quantization

_MERGES = {"F32": "merge fp32", "BF16": "merge bf16", "F16": "merge fp16"}
_CASTS = {"F32": "same", "BF16": "BF16", "F16": "F16"}
_METHODS = {
    "awq": "AWQ",
    "gptq": "GPTQ",
    "fp8": "FP8",
    "fbgemm_fp8": "FP8",
    "finegrained_fp8": "FP8",
}


def change_of(parent: Source, child: Source) -> str:
    """The kind of change, as `limits_of` knows it. Errors: AskError `ask.missing-key` if it cannot be found."""
    if method := _quantization(child):
        return method
    written = describe(folder_of(whole_model(child))).dtype
    if is_adapter(folder_of(parent)) and not is_adapter(folder_of(child)):
        in_four_bits = read_quantization(folder_of(chain_of(parent)[0])) is not None
        found = "merge NF4" if in_four_bits else _MERGES.get(written)
    elif describe(folder_of(whole_model(parent))).dtype == written:
        found = "same"
    else:
        found = _CASTS.get(written)
    if found is None:
        raise unknown_change(f"the weights of the child are {written}")
    return found


def unknown_change(why: str) -> AskError:
    """The error for a change that must be named."""
    return AskError("ask.missing-key", f"the kind of change is unknown: {why}", "set change, such as Q8_0")


def _quantization(child: Source) -> str:
    """The kind of change that a quantization config names; "" without one."""
    config: Any = read_config(folder_of(whole_model(child))).get("quantization_config")
    if not isinstance(config, dict):
        return ""
    method = str(config.get("quant_method", "")).lower()
    if method == "bitsandbytes":
        return "NF4" if config.get("load_in_4bit") or config.get("_load_in_4bit") else "INT8"
    if found := _METHODS.get(method):
        return found
    raise unknown_change(f"the child is quantized by '{method}'")
