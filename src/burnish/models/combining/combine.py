"""Writes the combination of several adapters as one, layer by layer: memory holds the matrices of one layer.

The base is read for its modules, not for its weights. The result is plain LoRA of one rank with scale 1 on exactly the
layers that an adapter changes; a layer of a lower rank is filled with zeros.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from burnish.core.errors import ModelError
from burnish.models.adapters.changes import LowRankPlace, low_rank_places
from burnish.models.adapters.targets import ends_with, shortest
from burnish.models.combining.kept import KeptLayers
from burnish.models.combining.layers import Layer, Weighted, cannot_combine, layers_of
from burnish.models.combining.methods import Factors, Settings, combine, exact_rank
from burnish.models.layout import skeleton_of
from burnish.models.load import read_config
from burnish.models.quiet import quiet_transformers
from burnish.models.weights import ADAPTER_CONFIG, ADAPTER_WEIGHTS, StreamedWriter, read_json

_PREFIX = "base_model.model."
_FOR_UNEQUAL_RANKS = "use linear, cat or a method that ends with svd: they take adapters of any rank"


def combine_adapters(
    adapters: Sequence[Weighted],
    base: Path,
    out: Path,
    settings: Settings,
    *,
    seed: int = 0,
    kept: KeptLayers | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Layer]:
    """Write the combined adapter into the folder `out`; returns the layers that it combines.

    `base` is the folder of the whole model. Random methods give what PEFT gives after `torch.manual_seed(seed)`. Layers
    that `kept` has are not computed again; it gets those of methods that decompose them.
    Errors: those of `layers_of`; ModelError `model.wrong-adapter` for unequal ranks where the method needs equal ones.
    """
    layers = layers_of(adapters, base)
    rank = _rank(adapters, layers, settings)
    settings = replace(settings, rank=rank)
    out.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        places = _attached(adapters, layers, rank, base, out)
        sizes = [size for layer in layers for size in _sizes(layer, places[layer.name], rank)]
        with StreamedWriter(out / ADAPTER_WEIGHTS, sizes) as writer:
            for done, layer in enumerate(layers, 1):
                pair = kept.get(done) if kept is not None else None
                if pair is None:
                    pair = _joined(layer, [_combined(layer, adapters, expert, settings) for expert in layer.experts])
                    if kept is not None and settings.method.kind == "svd":
                        kept.put(done, *pair)
                names = [name for name, _, _ in _sizes(layer, places[layer.name], rank)]
                for name, tensor in zip(names, pair, strict=True):
                    writer.write(name, tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
                progress(done, len(layers))
    return layers


def _combined(
    layer: Layer, adapters: Sequence[Weighted], expert: int | None, settings: Settings
) -> tuple[Tensor, Tensor]:
    a, b = combine(_factors(layer, adapters, expert), settings)
    missing = settings.rank - len(a)
    return torch.nn.functional.pad(a, (0, 0, 0, missing)), torch.nn.functional.pad(b, (0, missing))


def _joined(layer: Layer, parts: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """A and B as PEFT keeps them: for a stacked weight [experts · rank, in] and [out, rank · experts]."""
    if layer.experts == [None]:
        return parts[0]
    a, b = torch.cat([a for a, _ in parts]), torch.stack([b for _, b in parts], dim=2)
    return a, b.reshape(b.shape[0], -1)


def _sizes(layer: Layer, place: LowRankPlace, rank: int) -> list[tuple[str, str, tuple[int, ...]]]:
    """Name, dtype and shape of both matrices in the file."""
    rows = rank * len(layer.experts)
    shapes = {place.a: (rows, layer.first.a.shape[1]), place.b: (layer.first.b.shape[0], rows)}
    return [(f"{_PREFIX}{name}", "F32", shape) for name, shape in shapes.items()]


def _rank(adapters: Sequence[Weighted], layers: Sequence[Layer], settings: Settings) -> int:
    """The rank of the result."""
    columns = zip(*(layer.ranks for layer in layers), strict=True)
    ranks = [max((rank for rank in column if rank is not None), default=0) for column in columns]
    match settings.method.kind:
        case "stack":
            return sum(ranks)
        case "svd":
            return settings.rank or max(ranks)
        case "sum":
            matrices = ((layer, expert) for layer in layers for expert in layer.experts)
            return max(exact_rank(_factors(layer, adapters, expert)) for layer, expert in matrices)
        case "factors":
            _refuse_unequal_ranks(adapters, layers)
            return max(ranks)


def _factors(layer: Layer, adapters: Sequence[Weighted], expert: int | None) -> list[Factors]:
    return [factors for _, factors in layer.factors(adapters, expert)]


def _refuse_unequal_ranks(adapters: Sequence[Weighted], layers: Sequence[Layer]) -> None:
    for layer in layers:
        ranks = {number: rank for number, rank in enumerate(layer.ranks) if rank is not None}
        first = min(ranks)
        for number, rank in ranks.items():
            if rank != ranks[first]:
                what = (
                    f"in '{layer.name}' its rank is {rank}, and that of {adapters[first].name} is {ranks[first]}; the "
                    "method adds the matrices themselves, which needs equal ranks"
                )
                raise cannot_combine(adapters[number], what, _FOR_UNEQUAL_RANKS)


def _attached(
    adapters: Sequence[Weighted], layers: Sequence[Layer], rank: int, base: Path, out: Path
) -> dict[str, LowRankPlace]:
    """Write PEFT's config of the result, plain LoRA of scale 1, and attach it to the base without weights.

    The attached layers are those of `layers`, by the name of their weight. PEFT draws first values of the matrices, as
    it does before it draws masks. Errors: ModelError `model.unsupported`.
    """
    from peft import LoraConfig, PeftModel

    configs = [read_json(adapter.folder / ADAPTER_CONFIG) for adapter in adapters]
    named = [target for config in configs for target in config.get("target_parameters") or ()]
    parameters = {layer.name for layer in layers if any(ends_with(layer.name, target) for target in named)}
    modules = {layer.name.removesuffix(".weight") for layer in layers if layer.name not in parameters}
    skeleton = skeleton_of(base, read_config(base))
    config: Any = LoraConfig(
        task_type=configs[0].get("task_type"),
        r=rank,
        lora_alpha=rank,
        target_modules=shortest(modules, {path for path, _ in skeleton.named_modules()} - modules),
        target_parameters=sorted(parameters) or None,
        fan_in_fan_out=any(layer.first.layer == "transposed" for layer in layers if layer.name not in parameters),
        inference_mode=True,
    )
    with quiet_transformers():
        config.save_pretrained(str(out))
        model = PeftModel(skeleton, LoraConfig.from_pretrained(str(out)))
    places = {place.weight: place for place in low_rank_places(model)}
    if differing := places.keys() ^ {layer.name for layer in layers}:
        raise ModelError(
            "model.unsupported",
            f"PEFT attaches the combined adapter to other layers than those of the adapters: '{min(differing)}'",
            "combine adapters with the same targets",
        )
    return places
