"""Reductions over consecutive pieces of an array, empty ones included."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def sums(values: NDArray, bounds: NDArray[np.int64]) -> NDArray[np.int64]:
    """The sum of `values[bounds[i]:bounds[i + 1]]` for each i, 0 of an empty piece. `values` are counts or booleans."""
    return _reduced(np.add, values, bounds, 0, np.int64)


def maxima(values: NDArray, bounds: NDArray[np.int64], empty: int = 0) -> NDArray:
    """The greatest of each piece, `empty` of an empty one."""
    return _reduced(np.maximum, values, bounds, empty, values.dtype)


def _reduced(function: np.ufunc, values: NDArray, bounds: NDArray[np.int64], empty: int, dtype: Any) -> NDArray:
    starts, has_values = bounds[:-1], bounds[1:] > bounds[:-1]
    if has_values.all() and starts.size:
        return function.reduceat(values, starts, dtype=dtype)
    found = np.full(starts.size, empty, dtype)
    if has_values.any():  # the empty ones left out, each of the others ends where the next one starts
        found[has_values] = function.reduceat(values, starts[has_values], dtype=dtype)
    return found
