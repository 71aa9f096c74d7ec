"""Rotary positions: transformers' `rope_parameters` as keys and factors of a GGUF file."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.export.gguf.settings import Settings

Keys = dict[str, Any]
_KNOWN: Mapping[str, set[str]] = {
    "default": {"rope_theta"},
    "linear": {"rope_theta", "factor"},
    "llama3": {
        *("rope_theta", "factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"),
    },
    "yarn": {
        *("rope_theta", "factor", "original_max_position_embeddings", "attention_factor", "beta_fast", "beta_slow"),
        "truncate",
    },
    "longrope": {
        *("rope_theta", "factor", "original_max_position_embeddings", "attention_factor"),
        *("long_factor", "short_factor"),
    },
}


def rope_keys(
    settings: Settings,
    rope: Mapping[str, Any],
    kinds: tuple[str, ...],
    field: str,
    *,
    head_size: int,
    context: int,
    may_be_partial: bool = False,
) -> Keys:
    """The keys of one kind of layer; a scaling that is not among `kinds` is refused.

    llama.cpp has the formulas of `linear` and `yarn` itself; those of `llama3` and `longrope` become factors
    (`rope_factors`). `context` is that of the config.
    """
    kind = str(rope.get("rope_type", "default"))
    if kind not in kinds:
        settings.refuse(field, f"it knows rope_type {', '.join(kinds)} for this family, not {kind}")
    partial = rope.get("partial_rotary_factor")
    known = _KNOWN[kind] | {"rope_type", "type", "partial_rotary_factor"}
    if unknown := sorted(key for key, value in rope.items() if key not in known and value is not None):
        settings.refuse(field, f"the export does not know '{unknown[0]}' of rope_type {kind}")
    if partial not in (None, 1.0) and not may_be_partial:
        settings.refuse(field, "heads are rotated as a whole")
    keys: Keys = {"rope.freq_base": float(rope["rope_theta"]), "rope.dimension_count": rotated(rope, head_size)}
    if kind == "longrope":
        original = int(rope["original_max_position_embeddings"])
        ratio, given = rope.get("factor") or context / original, rope.get("attention_factor")
        own = math.sqrt(1 + math.log(ratio) / math.log(original)) if ratio > 1 else 1.0
        keys |= {
            "rope.scaling.type": "longrope",
            "rope.scaling.attn_factor": float(own if given is None else given),
            "rope.scaling.original_context_length": original,
            "context_length": original,
        }
    if kind == "linear":
        keys |= {"rope.scaling.type": "linear", "rope.scaling.factor": float(rope["factor"])}
    if kind == "yarn":
        factor = float(rope["factor"])
        original = rope.get("original_max_position_embeddings")
        if original is None:
            settings.refuse(field, "yarn needs original_max_position_embeddings")
        if rope.get("truncate") is False:
            settings.refuse(field, "llama.cpp rounds the bounds of yarn (truncate: true)")
        keys |= {
            "rope.scaling.type": "yarn",
            "rope.scaling.factor": factor,
            "rope.scaling.original_context_length": int(original or 0),
            "rope.scaling.yarn_beta_fast": float(rope.get("beta_fast") or 32),
            "rope.scaling.yarn_beta_slow": float(rope.get("beta_slow") or 1),
        }
        if rope.get("attention_factor") is not None:
            # llama.cpp multiplies its own factor, 1 + 0.1 ln(factor), by this one
            own = 1 + 0.1 * math.log(factor) if factor > 1 else 1.0
            keys["rope.scaling.attn_factor"] = float(rope["attention_factor"]) / own
    return keys


def rotated(rope: Mapping[str, Any], head_size: int) -> int:
    """The values of a head that are rotated."""
    return int(head_size * float(rope.get("partial_rotary_factor") or 1.0))


def rope_factors(rope: Mapping[str, Any], head_size: int) -> dict[str, NDArray[np.float32]]:
    """[rotated / 2] what each frequency is divided by, as tensors of the file; none for most kinds."""
    if rope.get("rope_type") == "longrope":
        names = ("long", "short")
        return {f"rope_factors_{name}.weight": np.array(rope[f"{name}_factor"], dtype=np.float32) for name in names}
    if rope.get("rope_type") != "llama3":
        return {}
    dimensions = rotated(rope, head_size)
    factor, original = float(rope["factor"]), float(rope["original_max_position_embeddings"])
    low, high = float(rope["low_freq_factor"]), float(rope["high_freq_factor"])
    frequencies = float(rope["rope_theta"]) ** -(np.arange(0, dimensions, 2, dtype=np.float64) / dimensions)
    length = 2 * np.pi / frequencies
    smooth = (original / length - low) / (high - low)
    between = 1 / ((1 - smooth) / factor + smooth)
    found = np.where(length > original / low, factor, between)
    return {"rope_freqs.weight": np.where(length < original / high, 1.0, found).astype(np.float32)}
