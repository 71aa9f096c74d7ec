"""How the base of an adapter was quantized in its training: a small file beside the adapter, read wherever it is used.

PEFT's `adapter_config.json` has no field for it. PEFT ignores the file: it loads the adapter on any form of its base.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from burnish.core.files import write_json
from burnish.core.fingerprint import QUANTIZATION_RECORD
from burnish.models.weights import broken, read_json

BLOCK = 64
"""Weights that share a scale, in the order of the weight's rows."""
_KINDS = ("nf4", "fp4")


@dataclass(frozen=True)
class Quantization:
    """4-bit weights as bitsandbytes computes them (QLoRA, arXiv 2305.14314)."""

    kind: str
    """`nf4` or `fp4`."""
    double: bool
    """Whether the scales are quantized to 8 bits themselves."""
    layers: tuple[str, ...] = ()
    """Paths of the quantized layers in the model; empty before they are known."""
    skip: tuple[str, ...] = ()
    """Names of modules whose layers are not quantized."""


def write_quantization(folder: Path, quantization: Quantization) -> None:
    """Write the record beside an adapter."""
    values = asdict(quantization)
    values.pop("skip")
    write_json(folder / QUANTIZATION_RECORD, {"library": "bitsandbytes", "block": BLOCK, **values})


def read_quantization(folder: Path) -> Quantization | None:
    """How the base of the adapter in `folder` was quantized; None if it was not.

    Errors: ModelError `model.broken` for a damaged record, or one with values that are not supported.
    """
    path = folder / QUANTIZATION_RECORD
    if not path.is_file():
        return None
    found = read_json(path)
    layers: Any = found.get("layers")
    is_known = found.get("library") == "bitsandbytes" and found.get("block") == BLOCK and found.get("kind") in _KINDS
    has_layers = isinstance(layers, list) and layers and all(isinstance(layer, str) for layer in layers)
    if not (is_known and has_layers and isinstance(found.get("double"), bool)):
        raise broken(path, "is no record of a 4-bit base that this version of burnish reads")
    return Quantization(found["kind"], found["double"], tuple(layers))
