"""The dtype of each weight of a model that is loaded in a given one: some families keep a few weights in float32."""

import copy
from typing import Any

import torch


def dtypes_in(model: Any, dtype: torch.dtype) -> dict[str, torch.dtype]:
    """The dtype of every parameter and buffer by name, as transformers loads a model of this config in `dtype`."""
    from transformers import AutoModelForCausalLM

    config = copy.deepcopy(model.config)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    with torch.device("meta"):
        built = AutoModelForCausalLM.from_config(config, dtype=dtype)
    kept = (*(model._keep_in_fp32_modules_strict or ()),) if dtype in (torch.bfloat16, torch.float16) else ()
    kept += (*(model._keep_in_fp32_modules or ()),) if dtype == torch.float16 else ()
    return {
        name: torch.float32 if tensor.is_floating_point() and any(part in name for part in kept) else tensor.dtype
        for name, tensor in [*built.named_parameters(), *built.named_buffers()]
    }
