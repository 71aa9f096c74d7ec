"""Safetensors files: their headers, and a writer that holds a part of one. No torch.

The format is 8 bytes (the header's length, little-endian), a JSON header, then the tensors' bytes in order
(https://github.com/huggingface/safetensors#format).
"""

import json
import os
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from burnish.core.errors import ModelError

WEIGHTS, WEIGHTS_INDEX = "model.safetensors", "model.safetensors.index.json"
ADAPTER_WEIGHTS, ADAPTER_CONFIG = "adapter_model.safetensors", "adapter_config.json"
PICKLES = ("pytorch_model*.bin", "adapter_model.bin", "*.pt", "*.pth", "*.ckpt")
_LONGEST_HEADER = 100_000_000
_BLOCK = 1 << 22
_INTEGERS = ("I8", "U8", "I16", "U16", "I32", "U32", "I64", "U64", "BOOL")
_BITS = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
}


@dataclass(frozen=True)
class TensorInfo:
    """A tensor of a safetensors file; `dtype` is the format's name, such as BF16, `start` the offset of its data."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    file: Path
    start: int

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        return size_in_bytes(self.dtype, self.shape)


def size_in_bytes(dtype: str, shape: tuple[int, ...]) -> int:
    """Size in bytes of such a tensor in a file."""
    return prod(shape) * _BITS[dtype] // 8


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object in a model's folder; anything else is ModelError `model.broken`."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise broken(path, f"is not readable JSON ({error})") from None
    if not isinstance(value, dict):
        raise broken(path, "is not a JSON object")
    return value


def broken(path: Path, what: str) -> ModelError:
    """The error for a missing or truncated file."""
    return ModelError("model.broken", f"{path} {what}", "download or export the model again")


def read_header(path: Path) -> list[TensorInfo]:
    """The tensors of one file, in file order; a truncated file is ModelError `model.broken`."""
    if not path.is_file():
        raise broken(path, "is missing")
    length_on_disk = path.stat().st_size
    try:
        file = path.open("rb")
    except OSError as error:
        raise broken(path, f"cannot be read ({error.strerror})") from None
    with file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(_LONGEST_HEADER, length_on_disk - 8):
            raise broken(path, "is truncated: its safetensors header is incomplete")
        try:
            header = json.loads(file.read(length))
            header.pop("__metadata__", None)
            tensors = [
                TensorInfo(name, entry["dtype"], tuple(entry["shape"]), path, 8 + length + entry["data_offsets"][0])
                for name, entry in header.items()
            ]
            ends = {name: 8 + length + entry["data_offsets"][1] for name, entry in header.items()}
            unsized = [tensor.name for tensor in tensors if tensor.start + tensor.bytes != ends[tensor.name]]
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise broken(path, f"has a damaged safetensors header ({error!r})") from None
    if unsized:
        raise broken(path, f"has a damaged safetensors header: the size of '{unsized[0]}' does not match its shape")
    expected = max(ends.values(), default=8 + length)
    if expected != length_on_disk:
        raise broken(path, f"has {length_on_disk:,} bytes where its header says {expected:,}")
    tensors.sort(key=lambda tensor: (tensor.start, tensor.bytes))
    places = zip(tensors, [8 + length, *(ends[tensor.name] for tensor in tensors)], strict=False)
    misplaced = [tensor.name for tensor, end_before in places if tensor.start != end_before]
    if misplaced:
        raise broken(
            path, f"has a damaged safetensors header: '{misplaced[0]}' does not begin where the last tensor ends"
        )
    return tensors


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model folder, as its index lists them, all present.

    Errors: ModelError `model.pickle` if there are only pickled weights, `model.broken` if a file is missing.
    """
    if (folder / WEIGHTS_INDEX).is_file():
        index = read_json(folder / WEIGHTS_INDEX).get("weight_map")
        if not isinstance(index, dict) or not index or not all(isinstance(name, str) for name in index.values()):
            raise broken(folder / WEIGHTS_INDEX, "has no weight_map of file names")
        files = [folder / name for name in sorted(set(index.values()))]
        for file in files:
            if not file.is_file():
                raise broken(file, f"is missing, but {WEIGHTS_INDEX} names it")
        return files
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    refuse_pickle(folder)
    raise broken(folder / WEIGHTS, "is missing")


def refuse_pickle(folder: Path) -> None:
    """ModelError `model.pickle` when the folder has pickled weights."""
    pickles = sorted(path.name for pattern in PICKLES for path in folder.glob(pattern))
    if pickles:
        raise ModelError(
            "model.pickle",
            f"{folder / pickles[0]} is a pickle, which can run code when it is read, and there is no safetensors file",
            "if you trust it, convert it to safetensors: AutoModelForCausalLM.from_pretrained(folder)"
            ".save_pretrained(new_folder), or use the model's safetensors revision",
        )


def read_tensors(folder: Path) -> dict[str, TensorInfo]:
    """Every tensor of a model folder by name, from the headers alone."""
    return {tensor.name: tensor for file in weight_files(folder) for tensor in read_header(file)}


def refuse_integers(where: Path, tensors: Iterable[TensorInfo]) -> None:
    """ModelError `model.broken` for integer weights: without a quantization_config no scale is applied."""
    for tensor in tensors:
        last = tensor.name.rpartition(".")[2]
        is_weight = len(tensor.shape) > 1 and ("weight" in last or "proj" in last or "lora" in tensor.name)
        if is_weight and tensor.dtype in _INTEGERS:
            raise ModelError(
                "model.broken",
                f"{where}: '{tensor.name}' is {tensor.dtype}, integers, and no quantization_config says how to read it",
                "use the original weights, or the config.json of the quantized ones",
            )


class StreamedWriter:
    """Writes one safetensors file tensor by tensor, in any order and from any thread; memory holds a part of them.

    `safetensors.torch.save_file` needs all tensors of the file at once.
    """

    def __init__(self, path: Path, tensors: list[tuple[str, str, tuple[int, ...]]]):
        """`tensors` are (name, dtype as the format names it, shape), in the order of the file."""
        self._path = path
        header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
        offset, self._left = 0, {name: size_in_bytes(dtype, shape) for name, dtype, shape in tensors}
        for name, dtype, shape in tensors:
            header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, offset + self._left[name]]}
            offset += self._left[name]
        encoded = json.dumps(header, separators=(",", ":")).encode()
        encoded += b" " * (-len(encoded) % 8)  # the format requires tensors to start at a multiple of 8
        start = 8 + len(encoded)
        self._ends = {name: start + held["data_offsets"][1] for name, held in header.items() if name in self._left}
        self._file = path.open("wb", buffering=0)
        try:
            self._write(struct.pack("<Q", len(encoded)) + encoded, 0)
        except BaseException:  # of a full disk: nobody else could close the file
            self._file.close()
            raise

    def write_part(self, name: str, data: memoryview | bytes) -> None:
        """The next bytes of a tensor, little-endian and C-contiguous; it is complete once all of them were written."""
        left = self._left[name]
        if len(data) > left:
            raise ValueError(f"{self._path}: {left} bytes of {name} are left, not {len(data)}")
        self._write(data, self._ends[name] - left)
        self._left[name] = left - len(data)

    def write(self, name: str, data: memoryview | bytes) -> None:
        """All bytes of a tensor."""
        self._expect(name, len(data))
        self.write_part(name, data)

    def copy(self, tensor: TensorInfo, name: str, look: Callable[[memoryview], None] = lambda block: None) -> None:
        """A tensor, copied from another file a few megabytes at a time; `look` sees each block first."""
        self._expect(name, tensor.bytes)
        held = memoryview(bytearray(min(tensor.bytes, _BLOCK)))
        with tensor.file.open("rb") as file:
            file.seek(tensor.start)
            while left := self._left[name]:
                block = held[: file.readinto(held[:left])]
                if not block:
                    raise broken(tensor.file, f"ends inside '{tensor.name}': it was changed while it was read")
                look(block)
                self.write_part(name, block)

    def _expect(self, name: str, size: int) -> None:
        if self._left[name] != size:
            raise ValueError(f"{self._path}: {self._left[name]} bytes of {name} are left, not {size}")

    def _write(self, data: memoryview | bytes | bytearray, start: int) -> None:
        rest = memoryview(data).cast("B")
        while rest:
            written = os.pwrite(self._file.fileno(), rest, start)
            rest, start = rest[written:], start + written

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()
        waiting = sum(left > 0 for left in self._left.values())
        if kind is None and waiting:
            raise ValueError(f"{self._path}: {waiting} tensors were announced but not written")
