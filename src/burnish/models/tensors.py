"""Tensors of weights files as torch reads them: one at a time, and every value a finite number."""

from collections.abc import Mapping
from pathlib import Path

import torch

from burnish.core.errors import ModelError
from burnish.models.weights import TensorInfo

DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "F64": torch.float64}
"""By the names of the file format: those that weights are computed in."""


def read_tensor(tensor: TensorInfo) -> torch.Tensor:
    """A tensor's values, in memory of its own: a mapped file would stay resident page by page."""
    buffer = bytearray(tensor.bytes)
    with tensor.file.open("rb") as file:
        file.seek(tensor.start)
        file.readinto(buffer)
    return torch.frombuffer(buffer, dtype=DTYPES[tensor.dtype]).reshape(tensor.shape)


def is_finite(tensor: torch.Tensor) -> bool:
    """Whether every value is a finite number."""
    if not tensor.is_floating_point():
        return True
    if tensor.element_size() == 1:
        tensor = tensor.float()
    # a sum meets every NaN and infinity, and is 20 to 40 times as fast as isfinite; it may also overflow by itself
    return bool(tensor.sum().isfinite()) or bool(tensor.isfinite().all())


def refuse_not_finite(where: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """ModelError `model.broken` that names the first tensor with a value that is no finite number."""
    broken = [name for name, tensor in tensors.items() if not is_finite(tensor)]
    if not broken:
        return
    tensor = tensors[broken[0]].float()
    values = int((~tensor.isfinite()).sum())
    more = f", and {len(broken) - 1} other tensors hold such values" if len(broken) > 1 else ""
    raise ModelError(
        "model.broken",
        f"{where}: {values:,} of {tensor.numel():,} values of '{broken[0]}' are NaN or infinite{more}",
        "take an earlier checkpoint, or download or export the model again",
    )
