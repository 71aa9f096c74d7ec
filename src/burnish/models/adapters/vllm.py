"""Which adapters vLLM loads, and the rank that it must be started with: from PEFT's config, as vLLM 0.33 reads it."""

import math
from collections.abc import Mapping
from typing import Any

RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""Values of --max-lora-rank."""
_HARMLESS_STARTS = ("gaussian", "eva", "orthogonal", "mica", "lora_ga")
"""Initial weights that leave the base as it is."""


def rank_of(config: Mapping[str, Any]) -> int:
    """The highest rank of an adapter, that of single modules included."""
    return max(int(config.get("r") or 16), *map(int, (config.get("rank_pattern") or {}).values()), 1)


def fitting_rank(rank: int) -> int:
    """The value of --max-lora-rank for adapters up to `rank`. ValueError beyond the highest."""
    found = next((size for size in RANKS if size >= rank), None)
    if found is None:
        raise ValueError(f"rank {rank} is above {RANKS[-1]}, the highest of vLLM")
    return found


def reason_not_loaded(config: Mapping[str, Any]) -> str:
    """What keeps vLLM from loading an adapter, as the object of "does not load"; "" if nothing does."""
    for field, what in (
        ("use_dora", "DoRA"),
        ("modules_to_save", "adapters with layers trained in full"),
        ("trainable_token_indices", "adapters with trained tokens"),
        ("target_parameters", "adapters of stacked experts as PEFT stores them"),
        ("alora_invocation_tokens", "activated LoRA"),
        ("layer_replication", "adapters that replicate layers"),
        ("use_bdlora", "block-diagonal LoRA"),
        ("use_qalora", "QALoRA"),
        ("lora_bias", "adapters with biases"),
    ):
        if config.get(field):
            return what
    if config.get("bias", "none") != "none":
        return "adapters with biases"
    start = config.get("init_lora_weights")
    if isinstance(start, str) and start.lower() not in _HARMLESS_STARTS:
        return f"adapters that change the base (init_lora_weights: {start})"
    if rank_of(config) > RANKS[-1]:
        return f"adapters of a rank above {RANKS[-1]}"
    return "" if _has_one_scale(config) else "adapters with another scale (alpha / rank) for some modules"


def _has_one_scale(config: Mapping[str, Any]) -> bool:
    """Whether all modules have the scale of `r` and `lora_alpha`, which vLLM applies to each.

    A module takes the first pattern that it matches, in each of the two tables: only equal patterns in equal order are
    sure to meet the same modules.
    """
    ranks, alphas = (dict(config.get(name) or {}) for name in ("rank_pattern", "alpha_pattern"))
    rank, alpha = config.get("r") or 8, config.get("lora_alpha") or 8  # PEFT's defaults
    if list(ranks) != list(alphas):
        return all(value == rank for value in ranks.values()) and all(value == alpha for value in alphas.values())

    def scale(rank: float, alpha: float) -> float:
        return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)

    return all(math.isclose(scale(ranks[name], alphas[name]), scale(rank, alpha)) for name in ranks)
