"""What PEFT's adapter_config.json may hold: a wrong value is named with its field, before PEFT stumbles over it."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from burnish.core.errors import ModelError
from burnish.models.weights import ADAPTER_CONFIG, read_json


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_rank(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool) or value in (0, 1)


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _is_pattern(value: Any, holds: Callable[[Any], bool]) -> bool:
    return isinstance(value, dict) and all(map(_compiles, value)) and all(map(holds, value.values()))


def _compiles(expression: str) -> bool:
    try:
        re.compile(expression)
    except re.error:
        return False
    return True


def _are_ids(value: Any) -> bool:
    lists = value.values() if isinstance(value, dict) else [value]
    return all(
        isinstance(ids, list)
        and all(isinstance(number, int) and not isinstance(number, bool) and number >= 0 for number in ids)
        for ids in lists
    )


_FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "r": (_is_rank, "a positive integer"),
    "lora_alpha": (_is_number, "a number"),
    "rank_pattern": (
        lambda value: _is_pattern(value, _is_rank),
        "an object of names of modules, or regular expressions, with positive integers",
    ),
    "alpha_pattern": (
        lambda value: _is_pattern(value, _is_number),
        "an object of names of modules, or regular expressions, with numbers",
    ),
    "target_modules": (lambda value: isinstance(value, str) or _are_names(value), "a name or a list of names"),
    "modules_to_save": (_are_names, "a list of names"),
    "trainable_token_indices": (_are_ids, "a list of token ids, or an object of names of modules with such lists"),
    "lora_dropout": (_is_number, "a number"),
    "use_dora": (_is_flag, "true or false"),
    "use_rslora": (_is_flag, "true or false"),
    "fan_in_fan_out": (_is_flag, "true or false"),
    "bias": (lambda value: value in ("none", "all", "lora_only"), "none, all or lora_only"),
}
_MAY_BE_NULL = (
    *("rank_pattern", "alpha_pattern", "target_modules", "modules_to_save", "trainable_token_indices"),
    *("use_dora", "use_rslora", "fan_in_fan_out"),
)


def read_adapter_config(folder: Path) -> dict[str, Any]:
    """The adapter's config; the fields that decide its formula are checked.

    Errors: those of `read_json`; ModelError `model.wrong-adapter` with file, field and the expected value.
    """
    config = read_json(folder / ADAPTER_CONFIG)
    for field, (holds, expected) in _FIELDS.items():
        value = config.get(field)
        is_unset = field not in config or (value is None and field in _MAY_BE_NULL)
        if not is_unset and not holds(value):
            raise ModelError(
                "model.wrong-adapter",
                f"{folder / ADAPTER_CONFIG}: {field}: {value!r} is not {expected}",
                "correct the field, or save the adapter again with PEFT",
            )
    return config
