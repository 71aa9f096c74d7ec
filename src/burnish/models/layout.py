"""Maps the weights of a model to tensors of its files: transformers renames, stacks, joins and splits them on load.

    files:  experts.0.w1 … experts.7.w3           one matrix for each expert and branch
    model:  experts.gate_up_proj                  [experts, w1 rows + w3 rows, columns]

`locate` reads transformers' own conversion tables, so that a weight can be changed on disk.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burnish.core.faults import reason
from burnish.models.quiet import quiet_transformers
from burnish.models.weights import TensorInfo, broken

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Rows = tuple[int, int]
"""First row, and one past the last."""


@dataclass(frozen=True)
class Place:
    """A tensor of the files that holds a weight of the model, or part of one."""

    tensor: str
    expert: int | None = None
    """Index into a stacked weight; None if the weight is not stacked or the tensor holds the whole stack."""
    rows: Rows | None = None
    """Rows of the weight (of the expert) that the tensor holds; None: all."""
    block: Rows | None = None
    """Rows of the tensor that belong to the weight; None: all."""

    def shape_of(self, weight: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of this part of a weight of shape `weight`."""
        matrix = weight if self.expert is None else weight[1:]
        return matrix if self.rows is None else (self.rows[1] - self.rows[0], *matrix[1:])

    def shape_in(self, tensor: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the weight's rows in a tensor of shape `tensor`."""
        return tensor if self.block is None else (self.block[1] - self.block[0], *tensor[1:])


@dataclass(frozen=True)
class Layout:
    """The places of every weight by its name in the model."""

    places: Mapping[str, list[Place]]
    rearranged: Mapping[str, str]
    """Weights that transformers computes by operations not supported here, and those operations."""


def skeleton_of(base: Path, config: Mapping[str, Any]) -> "PreTrainedModel":
    """A model's modules without weights: transposed layers, tied weights, tensor names.

    Errors: ModelError `model.broken`.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    with quiet_transformers(), torch.device("meta"):
        try:
            made = AutoConfig.from_pretrained(base, trust_remote_code=False, local_files_only=True)
            return AutoModelForCausalLM.from_config(made, trust_remote_code=False)
        except Exception as error:  # transformers may raise anything for a config from elsewhere
            raise broken(
                base, f"cannot be built as a {config['model_type']} causal language model: {reason(error)}"
            ) from error


def locate(skeleton: "PreTrainedModel", tensors: Mapping[str, TensorInfo]) -> Layout:
    """The layout of a model's files; `skeleton` is the model without weights."""
    from transformers.conversion_mapping import get_model_conversion_mapping
    from transformers.core_model_loading import WeightConverter, WeightRenaming, dot_natural_key, rename_source_key

    conversions = get_model_conversion_mapping(skeleton)
    renamings = [entry for entry in conversions if isinstance(entry, WeightRenaming)]
    converters = [entry for entry in conversions if isinstance(entry, WeightConverter)]
    of_pattern = {pattern: entry for entry in converters for pattern in entry.source_patterns}
    known: dict[str, Any] = skeleton.state_dict()
    prefix = skeleton.base_model_prefix
    found: dict[str, dict[str, list[str]]] = {}
    places: dict[str, list[Place]] = {}
    for name in sorted(tensors, key=dot_natural_key):
        target, pattern = rename_source_key(name, renamings, converters, prefix, known)
        if target not in known and name in known:
            target, pattern = rename_source_key(name, [], [], prefix, known)
        if pattern is None:
            places[target] = [Place(name)]
        else:
            found.setdefault(target, {}).setdefault(pattern, []).append(name)
    rearranged: dict[str, str] = {}
    for target, sources in found.items():
        converter = of_pattern[next(iter(sources))]
        followed = _follow(converter, target, sources, tensors)
        fits = followed is not None and all(
            name in known and _rows_fit(parts, tuple(known[name].shape)) for name, parts in followed.items()
        )
        if followed is not None and fits:
            places.update(followed)
        else:
            operations = ", ".join(type(operation).__name__ for operation in converter.operations)
            rearranged |= dict.fromkeys(_targets(converter, target), operations)
    return Layout(places, rearranged)


def _follow(
    converter: Any, target: str, sources: Mapping[str, list[str]], tensors: Mapping[str, TensorInfo]
) -> dict[str, list[Place]] | None:
    """The places of a converter's outputs from `sources` (tensor names by pattern); None if unsupported."""
    operations = [(type(operation).__name__, getattr(operation, "dim", 0)) for operation in converter.operations]
    ordered = [sources[pattern] for pattern in converter.source_patterns if pattern in sources]
    merged, joined = ("MergeModulelist", 0), ("Concatenate", 1)
    if operations == [merged] and len(ordered) == 1:
        return {target: [Place(name, expert) for expert, name in enumerate(ordered[0])]}
    if operations == [merged, joined]:
        parts: list[Place] = []
        start = 0
        for names in ordered:
            rows = tensors[names[0]].shape[0]
            parts += [Place(name, expert, (start, start + rows)) for expert, name in enumerate(names)]
            start += rows
        return {target: parts}
    if operations == [("Concatenate", 0)]:
        parts, start = [], 0
        for name in (name for names in ordered for name in names):
            rows = tensors[name].shape[0]
            parts.append(Place(name, None, (start, start + rows)))
            start += rows
        return {target: parts}
    if operations == [("Chunk", 0)] and len(ordered) == 1 and len(ordered[0]) == 1:
        targets, name = _targets(converter, target), ordered[0][0]
        rows, rest = divmod(tensors[name].shape[0], len(targets))
        if rest:
            return None
        return {made: [Place(name, None, None, (n * rows, (n + 1) * rows))] for n, made in enumerate(targets)}
    return None


def _targets(converter: Any, target: str) -> list[str]:
    """The names of all outputs of a converter, where `target` is the first."""
    patterns = converter.target_patterns
    start = target.removesuffix(patterns[0])
    return [start + pattern for pattern in patterns] if start != target else [target]


def _rows_fit(parts: list[Place], shape: tuple[int, ...]) -> bool:
    """True if the parts cover the weight: every expert, and every row of each."""
    if any(part.expert is not None for part in parts):
        experts = {part.expert for part in parts}
        if len(shape) != 3 or experts != set(range(shape[0])):
            return False
        shape = shape[1:]
    rows = [part.rows for part in parts if part.rows is not None]
    return not rows or max(stop for _, stop in rows) == shape[0]


def refuse_incomplete(skeleton: "PreTrainedModel", layout: Layout, base: Path) -> None:
    """Refuse what `load_model` refuses: missing weights, and tensors unknown to the model."""
    known = skeleton.state_dict()
    shared: Any = getattr(skeleton, "all_tied_weights_keys", None) or {}
    held = layout.places.keys() | layout.rearranged.keys()
    missing = [name for name, _ in skeleton.named_parameters() if name not in held and name not in shared]
    patterns = (skeleton._keys_to_ignore_on_load_missing, skeleton._keys_to_ignore_on_load_unexpected)
    for names, ignored, what in zip(
        (missing, [name for name in layout.places if name not in known]),
        patterns,
        ("weights that config.json needs are missing", "weights are not part of the model that config.json describes"),
        strict=True,
    ):
        found = sorted(name for name in names if not any(re.search(pattern, name) for pattern in ignored or ()))
        if found:
            raise broken(base, f"is incomplete or has extra tensors: {len(found)} {what}, the first is '{found[0]}'")
