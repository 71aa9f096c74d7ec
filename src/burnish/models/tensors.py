"""Reads tensors of weights files with torch, one at a time, and refuses values that are not finite."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from burnish.core.errors import ModelError
from burnish.models.layout import Place
from burnish.models.weights import StreamedWriter, TensorInfo

DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "F64": torch.float64}
"""Floating-point dtypes by their names in the file format."""
_NAMES = {dtype: name for name, dtype in DTYPES.items()} | {torch.uint8: "U8", torch.int32: "I32", torch.int64: "I64"}


def read_tensor(tensor: TensorInfo) -> torch.Tensor:
    """A tensor's values, copied: pages of a mapped file would stay resident."""
    buffer = bytearray(tensor.bytes)
    with tensor.file.open("rb") as file:
        file.seek(tensor.start)
        file.readinto(buffer)
    return torch.frombuffer(buffer, dtype=DTYPES[tensor.dtype]).reshape(tensor.shape)


def read_weight(places: Sequence[Place], tensors: Mapping[str, TensorInfo], shape: tuple[int, ...]) -> torch.Tensor:
    """A weight of the model in float32, put together from the tensors of the files that hold its parts."""
    if list(places) == [Place(places[0].tensor)]:
        return read_tensor(tensors[places[0].tensor]).float()
    weight = torch.empty(shape)
    for place in places:
        part = weight if place.expert is None else weight[place.expert]
        tensor = read_tensor(tensors[place.tensor])
        part[slice(*(place.rows or (None, None)))] = tensor[slice(*(place.block or (None, None)))]
    return weight


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write a safetensors file tensor by tensor: device tensors are copied to main memory one at a time."""
    with StreamedWriter(path, [(name, _NAMES[t.dtype], tuple(t.shape)) for name, t in tensors.items()]) as writer:
        for name, tensor in tensors.items():
            flat = tensor.cpu().contiguous().reshape(-1)
            writer.write(name, flat.view(torch.uint8).numpy().data)


def is_finite(tensor: torch.Tensor) -> bool:
    """True if every value is finite."""
    if not tensor.is_floating_point():
        return True
    if tensor.element_size() == 1:
        tensor = tensor.float()
    # a sum propagates NaN and infinity and is 20 to 40 times as fast as isfinite; it may also overflow itself
    return bool(tensor.sum().isfinite()) or bool(tensor.isfinite().all())


def refuse_not_finite(where: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """ModelError `model.broken` that names the first tensor with a value that is not finite."""
    broken = [name for name, tensor in tensors.items() if not is_finite(tensor)]
    if not broken:
        return
    tensor = tensors[broken[0]].float()
    values = int((~tensor.isfinite()).sum())
    more = f", and {len(broken) - 1} other tensors have such values" if len(broken) > 1 else ""
    raise ModelError(
        "model.broken",
        f"{where}: {values:,} of {tensor.numel():,} values of '{broken[0]}' are NaN or infinite{more}",
        "use an earlier checkpoint, or download or export the model again",
    )
