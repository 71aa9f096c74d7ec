"""Values that the code of a task gives, as numbers and as JSON: also scalars and arrays of numpy and torch."""

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
import torch

_SAME = 1e-9


def number(value: Any) -> float | None:
    """A number or a truth value, also one of numpy or torch; None for anything else."""
    if isinstance(value, np.ndarray | np.generic | torch.Tensor):
        value = value.item() if value.ndim == 0 else None
    return float(value) if isinstance(value, Real) else None


def is_mean(reported: Any, values: Sequence[Any]) -> bool:
    """Whether a task's result is the mean of these values, up to the rounding of their type."""
    numbers, found = [number(value) for value in values], number(reported)
    known = [value for value in numbers if value is not None]
    if found is None or len(known) < len(numbers) or not known:
        return False
    mean = math.fsum(known) / len(known)
    rounding = max(map(_rounding, (reported, *values)), default=0.0) * math.sqrt(len(known))
    return abs(mean - found) <= max(_SAME, rounding) * max(1.0, abs(mean)) or found == number(sum(values) / len(values))


def as_json(value: Any) -> Any:
    """A value as JSON: arrays are lists, keys are text, functions are named."""
    if isinstance(value, np.ndarray | np.generic | torch.Tensor):
        value = value.tolist()
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    if isinstance(value, Mapping):
        return {key if isinstance(key, str) else str(as_json(key)): as_json(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(child) for child in value]
    return getattr(value, "__name__", None) or str(value)


def _rounding(value: Any) -> float:
    """The relative rounding of a type that is less precise than Python's numbers; else 0."""
    if isinstance(value, np.floating):
        return float(np.finfo(value.dtype).eps)
    if isinstance(value, torch.Tensor):
        return float(torch.finfo(value.dtype if value.is_floating_point() else torch.get_default_dtype()).eps)
    return 0.0
