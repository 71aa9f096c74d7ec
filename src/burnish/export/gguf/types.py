"""The type of each tensor of a GGUF file, as llama.cpp mixes them, and its bytes, by ggml's own functions.

The rules are those of `llama_model_quantize` (src/llama-quant.cpp, version 11549).
"""

import ctypes
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, LlamaFileType
from numpy.typing import NDArray

from burnish.core.errors import ModelError
from burnish.models.engines.llama.library import library

Type = GGMLQuantizationType
Bytes = NDArray[np.uint8]
_CHUNK = 1 << 20
"""Values that one thread encodes at a time."""

_DEFAULTS: dict[str, Type] = {
    "F32": Type.F32,
    "F16": Type.F16,
    "BF16": Type.BF16,
    "Q8_0": Type.Q8_0,
    "Q6_K": Type.Q6_K,
    "Q5_K_M": Type.Q5_K,
    "Q5_K_S": Type.Q5_K,
    "Q5_1": Type.Q5_1,
    "Q5_0": Type.Q5_0,
    "Q4_K_M": Type.Q4_K,
    "Q4_K_S": Type.Q4_K,
    "Q4_1": Type.Q4_1,
    "Q4_0": Type.Q4_0,
    "IQ4_NL": Type.IQ4_NL,
    "IQ4_XS": Type.IQ4_XS,
    "Q3_K_L": Type.Q3_K,
    "Q3_K_M": Type.Q3_K,
    "Q3_K_S": Type.Q3_K,
    "Q2_K": Type.Q2_K,
}
FILE_TYPES: dict[str, tuple[LlamaFileType, Type]] = {
    name: (LlamaFileType["ALL_F32" if name == "F32" else f"MOSTLY_{name}"], kind) for name, kind in _DEFAULTS.items()
}
"""By the name in a recipe: llama.cpp's number of it, and the type of most tensors."""
_PLAIN = (Type.F32, Type.F16, Type.BF16)
_SMALLER_BLOCKS = {
    Type.Q2_K: Type.Q4_0,
    Type.Q3_K: Type.Q4_0,
    Type.IQ4_XS: Type.IQ4_NL,
    Type.Q4_K: Type.Q5_0,
    Type.Q5_K: Type.Q5_1,
    Type.Q6_K: Type.Q8_0,
}
"""For rows that are not a multiple of 256 values."""
_OUTPUT_OF_EIGHT = ("Q2_K", "Q3_K_S", "Q3_K_M", "Q4_K_S", "Q4_K_M", "IQ4_NL", "IQ4_XS")
"""File types whose attention output has more bits in a model of eight experts."""


@dataclass(frozen=True)
class Mix:
    """What the types depend on beside a tensor's own name and shape."""

    file_type: str
    architecture: str
    layers: int
    experts: int
    is_tied: bool
    values_per_key: int
    """Heads of queries for one head of keys."""
    has_importance: bool = False
    """Whether an importance matrix is given."""

    def of(self, name: str, shape: tuple[int, ...]) -> Type:
        """The type of a tensor."""
        default = FILE_TYPES[self.file_type][1]
        if len(shape) < 2 or not name.endswith(".weight") or "_norm.weight" in name or "ffn_gate_inp" in name:
            return Type.F32
        if default in _PLAIN:
            return default
        return _fitting(self._chosen(name, shape, default), shape[-1])

    def _chosen(self, name: str, shape: tuple[int, ...], default: Type) -> Type:
        if name == "output.weight" or (self.is_tied and name == "token_embd.weight"):
            if shape[-1] % GGML_QUANT_SIZES[default][0] or default is Type.Q8_0:
                return Type.Q8_0
            return Type.Q6_K
        if not name.startswith("blk."):
            return default
        layer, part = int(name.split(".")[1]), name.split(".")[2]
        if part in ("attn_v", "attn_qkv"):
            found = self._of_values(layer, default)
            if self._is_70b and found in (Type.Q3_K, Type.Q4_K):
                found = Type.Q5_K
            return Type.Q8_0 if self.experts == 8 else found
        if part == "attn_k" and self.experts == 8:
            return Type.Q8_0
        if part.startswith("ffn_down"):
            return self._of_down(layer, default)
        if part == "attn_output":
            if self.experts == 8:
                return Type.Q5_K if self.file_type in _OUTPUT_OF_EIGHT else default
            return {"Q2_K": Type.Q3_K, "Q3_K_M": Type.Q4_K, "Q3_K_L": Type.Q5_K}.get(self.file_type, default)
        return default

    def _of_values(self, layer: int, default: Type) -> Type:
        """Of the values of attention, alone or with queries and keys."""
        kind = self.file_type
        if kind == "Q2_K":
            return Type.Q4_K if self.values_per_key >= 4 else Type.Q3_K
        if kind == "Q3_K_M":
            return Type.Q5_K if layer < 2 else Type.Q4_K
        if kind == "Q3_K_L" or (kind in ("IQ4_NL", "IQ4_XS") and self.values_per_key >= 4):
            return Type.Q5_K
        if kind in ("Q4_K_M", "Q5_K_M") and self._gets_more_bits(layer):
            return Type.Q6_K
        return Type.Q5_K if kind == "Q4_K_S" and layer < 4 else default

    def _of_down(self, layer: int, default: Type) -> Type:
        kind, is_early = self.file_type, layer < self.layers // 8
        if kind in ("Q4_K_M", "Q5_K_M"):
            return Type.Q6_K if self._gets_more_bits(layer) else default
        if kind == "Q3_K_M":
            return Type.Q5_K if layer < self.layers // 16 else Type.Q4_K
        if kind in ("Q2_K", "Q3_K_L"):
            return Type.Q3_K if kind == "Q2_K" else Type.Q5_K
        if is_early and (kind == "Q4_K_S" or (kind in ("IQ4_NL", "IQ4_XS") and not self.has_importance)):
            return Type.Q5_K
        if is_early and self.has_importance and kind in ("Q4_0", "Q5_0"):
            return Type.Q4_1 if kind == "Q4_0" else Type.Q5_1
        return default

    def _gets_more_bits(self, layer: int) -> bool:
        eighth = self.layers // 8
        return layer < eighth or layer >= 7 * self.layers // 8 or (layer - eighth) % 3 == 2

    @property
    def _is_70b(self) -> bool:
        return self.layers == 80 and (
            self.architecture == "qwen2" or (self.architecture == "llama" and self.values_per_key > 1)
        )


def _fitting(chosen: Type, columns: int) -> Type:
    """The type, or one of smaller blocks where rows are no multiple of its blocks."""
    if columns % GGML_QUANT_SIZES[chosen][0] == 0:
        return chosen
    chosen = _SMALLER_BLOCKS.get(chosen, chosen)
    return chosen if columns % GGML_QUANT_SIZES[chosen][0] == 0 else Type.F16


def size_of(kind: Type, shape: tuple[int, ...]) -> int:
    """Bytes of a tensor."""
    block, size = GGML_QUANT_SIZES[kind]
    return int(np.prod(shape)) // block * size


def encode(
    name: str,
    values: NDArray[np.float32],
    kind: Type,
    threads: int = 1,
    importance: NDArray[np.float32] | None = None,
) -> Bytes:
    """The bytes of a tensor, rows encoded by ggml. `values` are C-contiguous float32.

    `importance` is that of each column, [columns] or [experts, columns]; the types without blocks and Q8_0 ignore it.

    Errors: ModelError `model.broken` for values that overflow 16 bits.
    """
    if kind is Type.F32:
        return values.reshape(-1).view(np.uint8)
    rows = values.reshape(-1, values.shape[-1])
    encoded = np.empty(size_of(kind, values.shape), dtype=np.uint8)
    row = size_of(kind, (1, rows.shape[1]))
    at_once = max(1, _CHUNK // rows.shape[1])
    run = _runner(kind)
    matrices = 1 if importance is None or importance.ndim == 1 else len(importance)
    per_matrix = len(rows) // matrices  # a chunk has rows of one expert
    weights = None if importance is None else np.ascontiguousarray(importance.reshape(matrices, -1))

    def part(place: tuple[int, int]) -> None:
        matrix, first = place
        some = rows[first : min(first + at_once, (matrix + 1) * per_matrix)]
        out = encoded[first * row : (first + len(some)) * row]
        run(some, out, None if weights is None else weights[matrix])
        if not library().ggml_validate_row_data(kind, out.ctypes.data, out.nbytes):
            raise ModelError(
                "model.broken",
                f"'{name}' has values that {kind.name} cannot hold",
                "choose a type with a larger range, such as BF16",
            )

    with ThreadPoolExecutor(max(1, threads)) as pool:  # ggml runs without the lock of Python
        places = (
            (matrix, first)
            for matrix in range(matrices)
            for first in range(matrix * per_matrix, (matrix + 1) * per_matrix, at_once)
        )
        list(pool.map(part, places))
    return encoded


def _runner(kind: Type) -> Callable[[NDArray[np.float32], Bytes, NDArray[np.float32] | None], None]:
    lib = library()
    plain = {Type.F16: lib.ggml_fp32_to_fp16_row, Type.BF16: lib.ggml_fp32_to_bf16_row}.get(kind)

    def convert(some: NDArray[np.float32], out: Bytes, weights: NDArray[np.float32] | None) -> None:
        assert plain is not None
        plain(some.ctypes.data, out.ctypes.data, some.size)

    def quantize(some: NDArray[np.float32], out: Bytes, weights: NDArray[np.float32] | None) -> None:
        pointer = ctypes.c_void_p(None if weights is None else weights.ctypes.data)
        lib.ggml_quantize_chunk(kind, some.ctypes.data, out.ctypes.data, 0, *some.shape, pointer)

    return quantize if plain is None else convert
