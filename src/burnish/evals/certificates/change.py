"""The kind of change between a parent and a child, found from their files."""

from pathlib import Path
from typing import Any

from burnish.core.context import Input
from burnish.core.errors import AskError
from burnish.core.inputs.gguf import gguf_file
from burnish.models.bases import Source, chain_of, folder_of, is_adapter, whole_model
from burnish.models.engines.llama.model import LlamaModel
from burnish.models.load import read_config
from burnish.models.quantization.compressed import METHOD, scheme_of
from burnish.models.quantization.record import read_quantization
from burnish.models.weights import read_tensors

_MERGES = {"F32": "merge fp32", "BF16": "merge bf16", "F16": "merge fp16"}
_CASTS = {"F32": "same", "BF16": "BF16", "F16": "F16"}
_FILE_TYPES = {
    "0": "F32",
    "1": "F16",
    "32": "BF16",
    "7": "Q8_0",
    "2": "Q4_0",
    "3": "Q4_1",
    "8": "Q5_0",
    "9": "Q5_1",
    "10": "Q2_K",
    "11": "Q3_K_S",
    "12": "Q3_K_M",
    "13": "Q3_K_L",
    "14": "Q4_K_S",
    "15": "Q4_K_M",
    "16": "Q5_K_S",
    "17": "Q5_K_M",
    "18": "Q6_K",
    "25": "IQ4_NL",
    "30": "IQ4_XS",
}
"""By llama.cpp's number of a file's type."""
_METHODS = {
    "awq": "AWQ",
    "gptq": "GPTQ",
    "fp8": "FP8",
    "fbgemm_fp8": "FP8",
    "finegrained_fp8": "FP8",
}


def change_of(parent: Source, child: Source) -> str:
    """The kind of change, as `limits_of` knows it. Errors: AskError `ask.missing-key` if it cannot be found."""
    if isinstance(child, Input) and child.kind == "gguf":
        return _type_of_gguf(child)
    if method := _quantization(child):
        return method
    written = narrowest(folder_of(whole_model(child)))
    if is_adapter(folder_of(parent)) and not is_adapter(folder_of(child)):
        in_four_bits = read_quantization(folder_of(chain_of(parent)[0])) is not None
        found = "merge NF4" if in_four_bits else merge_in(folder_of(child))
    elif narrowest(folder_of(whole_model(parent))) == written:
        found = "same"
    else:
        found = _CASTS.get(written)
    if found is None:
        raise unknown_change(f"the weights of the child are {written}")
    return found


def _type_of_gguf(child: Input) -> str:
    model = LlamaModel(gguf_file(child.path), vocabulary_only=True)
    try:
        number = model.metadata("general.file_type")
    finally:
        model.close()
    if number not in _FILE_TYPES:
        raise unknown_change(f"the GGUF file has the file type {number}")
    return _FILE_TYPES[number]


def merge_in(folder: Path) -> str:
    """The kind of a merge whose result is in `folder`, by the dtype of its weights."""
    written = narrowest(folder)
    if (found := _MERGES.get(written)) is None:
        raise unknown_change(f"the merged weights are {written}")
    return found


def narrowest(folder: Path) -> str:
    """The dtype of the least precise weights, as safetensors names it: one layer in bfloat16 is enough."""
    found = {tensor.dtype for tensor in read_tensors(folder).values()}
    return next((dtype for dtype in ("BF16", "F16", "F32") if dtype in found), max(found, default=""))


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
    if found := _METHODS.get(method) or (scheme_of(config) if method == METHOD else ""):
        return found
    raise unknown_change(f"the child is quantized by '{method}'")
