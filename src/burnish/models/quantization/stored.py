"""The weights that a quantized model's files stand for: packed values with scales beside them are one weight."""

from collections.abc import Mapping

from burnish.models.weights import TensorInfo

_BESIDE = ("_scale", "_zero_point", "_shape", "_packed", "_g_idx", "_global_scale")
"""What compressed-tensors stores for `weight`, by the end of the name."""


def stood_for(tensors: Mapping[str, TensorInfo]) -> list[tuple[str, int]]:
    """(dtype, number of values) of each weight; the dtype of a quantized one is that of its scales.

    For bitsandbytes, which stores scales in float32, it is that of the largest other weight.
    """
    others = [(tensor.size, tensor.dtype) for name, tensor in tensors.items() if ".weight." not in name]
    largest = max((other for other in others if other[1][0] in "FB"), default=(0, "F32"))[1]
    found: list[tuple[str, int]] = []
    for name, tensor in tensors.items():
        owner = next((name.removesuffix(end) for end in _BESIDE if name.endswith(f".weight{end}")), "")
        scale = tensors.get(f"{owner or name}_scale")
        if owner and not name.endswith("_packed"):
            continue
        if owner:
            found.append((scale.dtype if scale else tensor.dtype, _unpacked(tensor, tensors.get(f"{owner}_shape"))))
        elif f"{name}.absmax" in tensors:  # bitsandbytes: two values in a byte
            found.append((largest, 2 * tensor.bytes))
        elif not _is_of_bitsandbytes(name, tensors):
            found.append((scale.dtype if scale else tensor.dtype, tensor.size))
    return found


def _is_of_bitsandbytes(name: str, tensors: Mapping[str, TensorInfo]) -> bool:
    """Whether a tensor is about the packed weight that its name begins with."""
    before, mark, _ = name.partition(".weight.")
    return bool(mark) and f"{before}.weight.absmax" in tensors


def _unpacked(packed: TensorInfo, shape: TensorInfo | None) -> int:
    """The number of values in a packed weight, from the shape that is stored with it."""
    if shape is None or shape.dtype != "I64":
        return packed.size
    with shape.file.open("rb") as file:
        file.seek(shape.start)
        rows, columns = (int.from_bytes(file.read(8), "little") for _ in range(2))
    return rows * columns
