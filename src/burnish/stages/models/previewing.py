"""What `merge` or `combine` would do, by the checks that they make before any work; read from configs and headers.

The studio asks it in a child process that stays: `python -m burnish.stages.models.previewing`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from burnish.core.context import Context, Input
from burnish.core.events import Event, Note
from burnish.models.adapters.attach import adapter_weights
from burnish.models.adapters.config import read_adapter_config
from burnish.models.bases import Source, folder_of, whole_model
from burnish.models.combining.methods import METHODS
from burnish.models.load import describe
from burnish.models.quantization.record import read_quantization
from burnish.models.weights import TensorInfo, read_header
from burnish.specs.models import CombineSpec, MergeSpec
from burnish.stages.answer import answer_each
from burnish.stages.models import combine, merge

_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
_NAMES = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}


def preview(request: Mapping[str, Any]) -> dict[str, Any]:
    """`adapters`, `base`, `result` and `warnings` of the spec of a stage, with its `inputs` resolved.

    Errors: those of the stage before it works.
    """
    warnings: list[str] = []
    ctx = _context({name: Input.from_json(value) for name, value in request["inputs"].items()}, warnings)
    if request["stage"] == "merge":
        spec = MergeSpec.model_validate(request["spec"])
        adapter, base, _ = merge.fitting(spec, ctx)
        adapters, weights = {adapter.ref: adapter}, [1.0]
        result = _merged(base, spec.dtype, spec.into)
    else:
        combined = CombineSpec.model_validate(request["spec"])
        adapters, base, found = combine.fitting(combined, ctx)
        warnings += found
        weights = [entry.weight for entry in combined.adapters]
        result = _merged(base, combined.dtype, "original") if combined.into == "base" else _combined(combined, adapters)
    whole = whole_model(base)
    card = describe(folder_of(whole))
    return {
        "adapters": [
            {"name": name, "ref": source.ref, "weight": weight, **_of_adapter(source)}
            for (name, source), weight in zip(adapters.items(), weights, strict=True)
        ],
        "base": {
            "ref": whole.ref if isinstance(whole, Input) else str(whole),
            "family": card.family,
            "parameters": card.parameters,
            "dtype": _NAMES.get(card.dtype, card.dtype),
            "bytes": card.bytes,
        },
        "result": result,
        "warnings": warnings,
    }


def _context(inputs: Mapping[str, Input], warnings: list[str]) -> Context:
    """A context for checks: nothing is written."""

    def emit(event: Event) -> None:
        if isinstance(event, Note) and event.level == "warning":
            warnings.append(event.text)

    return Context(Path("out"), Path("scratch"), inputs, emit, lambda: False, lambda: None, Path("cache"))


def _of_adapter(source: Input) -> dict[str, Any]:
    config, tensors = read_adapter_config(source.path), _tensors(source)
    return {
        "rank": _rank(config),
        "alpha": config.get("lora_alpha"),
        "parameters": sum(_count(tensor) for tensor in tensors),
        "tensors": len(tensors),
        "bytes": sum(tensor.size for tensor in tensors),
        "in_four_bits": read_quantization(source.path) is not None,
    }


def _combined(spec: CombineSpec, adapters: Mapping[str, Input]) -> dict[str, Any]:
    """An adapter in float32. Of a weighted sum the rank is the smallest that holds it: at most that of `cat`."""
    kind = METHODS[spec.method].kind
    ranks = {name: _rank(read_adapter_config(source.path)) for name, source in adapters.items()}
    rank = sum(ranks.values()) if kind in ("sum", "stack") else max(ranks.values())
    if kind == "svd" and spec.rank is not None:
        rank = spec.rank
    per_rank = max(sum(map(_count, _tensors(source))) / ranks[name] for name, source in adapters.items())
    return {
        "kind": "adapter",
        "rank": rank,
        "rank_is": "at most" if kind in ("sum", "svd") else "exactly",
        "dtype": "float32",
        "bytes": round(4 * per_rank * rank),
        "most_bytes": round(4 * per_rank * rank),
    }


def _merged(base: Source, dtype: str, into: str) -> dict[str, Any]:
    """A whole model. `auto` is decided when the change is measured: between `bytes` and `most_bytes`."""
    card = describe(folder_of(whole_model(base)))
    size, own = _BYTES.get(dtype), _NAMES.get(card.dtype, card.dtype)
    least = card.bytes if size is None else card.parameters * size
    return {
        "kind": "model",
        "rank": None,
        "rank_is": None,
        "dtype": own if dtype in ("auto", "keep") else dtype,
        "bytes": least,
        "most_bytes": max(least, 4 * card.parameters) if dtype == "auto" else least,
        "into": into,
    }


def _rank(config: Mapping[str, Any]) -> int:
    """The highest rank of any layer."""
    return max([int(config["r"]), *map(int, (config.get("rank_pattern") or {}).values())])


def _tensors(source: Input) -> list[TensorInfo]:
    return read_header(adapter_weights(source.path))


def _count(tensor: TensorInfo) -> int:
    count = 1
    for size in tensor.shape:
        count *= size
    return count


if __name__ == "__main__":
    answer_each(preview)
