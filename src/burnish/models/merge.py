"""Merges a LoRA adapter into its base, two tensors at a time: peak memory is the largest ones, not the model.

The formulas are in `adapters.changes`. The arithmetic is in float32 and in PEFT's order, so the result is equal to
`merge_and_unload` bit for bit, with two exceptions: stacked experts (up to the rounding of float32), and low-rank
changes of an embedding in 16 bits, which PEFT rounds before it adds them (one unit in the last place).
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burnish.core.errors import ModelError
from burnish.models.adapters.attach import is_same, other_base
from burnish.models.adapters.changes import (
    Change,
    Dequantized,
    TrainedRows,
    cannot_merge,
    changes_of,
    copies_of,
    dequantized,
    forget_stacks,
)
from burnish.models.adapters.pieces import Piece, measure_piece, two_at_a_time, write_piece
from burnish.models.bases import is_adapter
from burnish.models.companions import copy_companions, write_config
from burnish.models.layout import Place, locate, refuse_incomplete, skeleton_of
from burnish.models.load import (
    check_vocabulary,
    read_config,
    refuse_remote_code,
    refuse_unscaled,
)
from burnish.models.quantization.record import Quantization
from burnish.models.reward import HEAD, add_score_head, head_tensor, is_reward_adapter, merged_config
from burnish.models.tensors import DTYPES, read_tensor, read_weight
from burnish.models.weights import (
    WEIGHTS,
    WEIGHTS_INDEX,
    StreamedWriter,
    TensorInfo,
    read_tensors,
)

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_NAMES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}
LOST_TO_AVOID = 0.1
"""Relative to the adapter's change: `auto` avoids a larger loss by rounding."""


@dataclass(frozen=True)
class Merged:
    """What a merge did."""

    parameters: int
    changed: int
    """Tensors that the adapter changed."""
    files: int
    """Weights files written."""
    untied: bool
    """The base ties its embedding and head; the adapter changed one of them, so the merged model has both."""
    rounded: float
    """‖rounding‖ / ‖change‖ over the weights with low-rank changes: 0 in float32, 1 if all of it may be lost."""
    dtype: str
    """That of the merged weights; `keep` is the base's."""
    in_base_dtype: float | None
    """With dtype `auto`: what `rounded` is in the base's dtype; infinite if merged values overflow it."""


def merge_adapter(
    adapter: Path,
    base: Path,
    out: Path,
    *,
    dtype: str = "keep",
    max_shard_bytes: int = 4_000_000_000,
    quantization: Quantization | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    measuring: Callable[[int, int], None] = lambda done, total: None,
) -> Merged:
    """Write the plain model `base` + `adapter` into the folder `out`, with config and tokenizer.

    With `quantization`, the adapter is added to the values that the base's layers have in 4 bits. The adapter's
    tokenizer, if it has one, replaces the base's. The dtype `auto` is the base's, or float32 if rounding to it would
    lose more than `LOST_TO_AVOID`: a first pass over the changed tensors measures that. `progress`, and `measuring`
    in that pass, are called with (tensors done, total).
    Errors: ModelError `model.wrong-adapter` for kinds other than LoRA, rsLoRA, DoRA, stacked experts and fully trained
    modules, and for names or shapes that do not match; `model.broken` for an incomplete base or a value that is not
    finite; those of reading either folder.
    """
    if is_adapter(base):
        raise ModelError("model.wrong-adapter", f"the base {base} is itself an adapter", "merge that one first")
    config = read_config(base)
    refuse_remote_code(base / "config.json", config)
    if "quantization_config" in config:
        raise ModelError(
            "model.wrong-adapter", f"the base {base} is quantized", "merge into the original weights, then quantize"
        )
    check_vocabulary(base, config)
    refuse_unscaled(base, config)
    tensors, skeleton = read_tensors(base), skeleton_of(base, config)
    pieces, untied = _plan(skeleton, tensors, adapter, base, quantization)
    in_base_dtype = _lost_in_base_dtype(pieces, measuring) if dtype == "auto" else None
    if in_base_dtype is not None:
        dtype = "float32" if in_base_dtype > LOST_TO_AVOID else "keep"
    pieces = _stored_as(dtype, pieces)
    files, rounded = _write_all(pieces, out, max_shard_bytes, progress)
    if is_reward_adapter(adapter):
        config = merged_config(config, skeleton, adapter)
    rows = [change.rows for piece in pieces for _, change in piece.changes if isinstance(change, TrainedRows)]
    write_config(config, out, dtype, untied, max(rows, default=None))
    for folder in (base, adapter):
        copy_companions(folder, out)
    return Merged(
        parameters=sum(prod(piece.shape) for piece in pieces),
        changed=sum(not all(isinstance(change, Dequantized) for _, change in piece.changes) for piece in pieces),
        files=files,
        untied=untied,
        rounded=rounded,
        dtype=dtype,
        in_base_dtype=in_base_dtype,
    )


def rewrite_model(
    model: Path,
    out: Path,
    *,
    dtype: str = "keep",
    max_shard_bytes: int = 4_000_000_000,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Merged:
    """Write a whole model of any architecture into the folder `out`, as `merge_adapter` does without an adapter.

    Errors: ModelError `model.broken` for a value that is not finite, also in the new dtype; those of reading a folder.
    """
    config = read_config(model)
    refuse_remote_code(model / "config.json", config)
    pieces = _stored_as(dtype, [Piece(name, tensor.dtype, tensor) for name, tensor in read_tensors(model).items()])
    files, _ = _write_all(pieces, out, max_shard_bytes, progress)
    write_config(config, out, dtype, untied=False)
    copy_companions(model, out)
    parameters = sum(prod(piece.shape) for piece in pieces)
    return Merged(parameters, changed=0, files=files, untied=False, rounded=0.0, dtype=dtype, in_base_dtype=None)


def _stored_as(dtype: str, pieces: list[Piece]) -> list[Piece]:
    """The pieces with that dtype, where they hold numbers of another; `keep` changes nothing."""
    if dtype == "keep":
        return pieces
    return [replace(piece, dtype=_NAMES[dtype]) if piece.dtype in DTYPES else piece for piece in pieces]


def _write_all(
    pieces: list[Piece], out: Path, max_shard_bytes: int, progress: Callable[[int, int], None]
) -> tuple[int, float]:
    """Write all tensors into files of that size, with their index; returns the files and ‖rounding‖ / ‖change‖."""
    out.mkdir(parents=True, exist_ok=True)
    shards = list(_shards(pieces, max_shard_bytes))
    done = 0
    rounding = change = 0.0
    weight_map: dict[str, str] = {}
    try:
        for number, shard in enumerate(shards, 1):
            name = WEIGHTS if len(shards) == 1 else f"model-{number:05}-of-{len(shards):05}.safetensors"
            held = [(piece.name, piece.dtype, piece.shape) for piece in shard]
            with StreamedWriter(out / name, held) as writer:
                for piece, squares in zip(
                    shard, two_at_a_time(partial(write_piece, writer=writer), shard), strict=True
                ):
                    rounding, change = rounding + squares[0], change + squares[1]
                    weight_map[piece.name] = name
                    done += 1
                    progress(done, len(pieces))
    finally:
        forget_stacks()
    if len(shards) > 1:
        index = {"metadata": {"total_size": sum(piece.bytes for piece in pieces)}, "weight_map": weight_map}
        (out / WEIGHTS_INDEX).write_text(json.dumps(index, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return len(shards), (rounding / change) ** 0.5 if change else 0.0


def _plan(
    skeleton: "PreTrainedModel",
    tensors: dict[str, TensorInfo],
    adapter: Path,
    base: Path,
    quantization: Quantization | None,
) -> tuple[list[Piece], bool]:
    """Every tensor of the merged model, in the base's order and dtype; whether embedding and head are untied."""
    layout, shapes = locate(skeleton, tensors), {k: tuple(v.shape) for k, v in skeleton.state_dict().items()}
    refuse_incomplete(skeleton, layout, base)
    embedding, head = _embedding_and_head(skeleton)
    tied = bool(getattr(skeleton.config.get_text_config(), "tie_word_embeddings", False))
    first = dequantized(quantization, skeleton)
    sources, places = dict(tensors), dict(layout.places)
    if is_reward_adapter(adapter):
        _take_score_head(skeleton, sources, places, shapes, adapter, "" if tied else head)
    changes = changes_of(adapter, skeleton)
    for name, copy in copies_of(adapter).items():
        at = (places.get(name) or places.get(embedding) or [None])[0]
        if at is None or not is_same(read_tensor(copy), read_tensor(tensors[at.tensor])):
            raise other_base(adapter, copy.name)
    if tied and isinstance(changes.get(embedding), TrainedRows) and head not in changes:
        untied = False  # the rows belong to both
        if head in places:
            changes[head] = changes[embedding]
    else:
        untied = tied and (embedding in changes or head in changes)
    if untied:
        at = (places.get(embedding) or places.get(head) or [None])[0]
        if at is None:
            raise cannot_merge(adapter, f"the base has no tensor '{embedding}'")
        for name in (embedding, head):
            if name not in places:
                sources[name], places[name] = tensors[at.tensor], [Place(name)]
    of_tensor: dict[str, list[tuple[Place, Change]]] = {}
    for name, change in [*first, *changes.items()]:
        if name in layout.rearranged:
            how = layout.rearranged[name]
            raise cannot_merge(adapter, f"the base's files store '{name}' in a layout that is not supported ({how})")
        if name not in places:
            raise cannot_merge(adapter, f"the base has no tensor '{name}'; it may share one with another layer")
        if change.shape != shapes[name]:
            raise cannot_merge(adapter, f"'{name}' is {list(shapes[name])} but its change is {list(change.shape)}")
        if isinstance(change, Dequantized):
            change = replace(change, whole=partial(read_weight, places[name], tensors, change.shape))
        for place in places[name]:
            found = place.shape_in(sources[place.tensor].shape)
            if found != place.shape_of(change.shape):
                raise cannot_merge(adapter, f"'{place.tensor}' is {list(found)} in the base's files")
            of_tensor.setdefault(place.tensor, []).append((place, change))
    pieces = [Piece(name, source.dtype, source, tuple(of_tensor.get(name, ()))) for name, source in sources.items()]
    return pieces, untied


def _take_score_head(
    skeleton: "PreTrainedModel",
    sources: dict[str, TensorInfo],
    places: dict[str, list[Place]],
    shapes: dict[str, tuple[int, ...]],
    adapter: Path,
    replaced: str,
) -> None:
    """Replace the head of a language model by that of a reward model: the adapter's file holds it whole."""
    add_score_head(skeleton)
    for name in (replaced, f"{replaced.removesuffix('.weight')}.bias"):
        for place in places.pop(name, []):
            sources.pop(place.tensor)
    name = f"{HEAD}.weight"
    sources[name], places[name] = head_tensor(adapter), [Place(name)]
    shapes[name] = sources[name].shape


def _embedding_and_head(skeleton: "PreTrainedModel") -> tuple[str, str]:
    """The names of the two weights that a model may tie; empty if it has none."""
    paths = {module: path for path, module in skeleton.named_modules()}
    ends: tuple[Any, Any] = (skeleton.get_input_embeddings(), skeleton.get_output_embeddings())
    embedding, head = (f"{paths[end]}.weight" if end in paths else "" for end in ends)
    return embedding, head


def _shards(pieces: list[Piece], max_bytes: int) -> Iterator[list[Piece]]:
    """Group tensors, in order, into files of at most `max_bytes`; a larger tensor gets a file of its own."""
    shard: list[Piece] = []
    held = 0
    for piece in pieces:
        if shard and held + piece.bytes > max_bytes:
            yield shard
            shard, held = [], 0
        shard.append(piece)
        held += piece.bytes
    if shard:
        yield shard


def _lost_in_base_dtype(pieces: list[Piece], measuring: Callable[[int, int], None]) -> float:
    """‖rounding‖ / ‖change‖ of the merge in the base's dtype; nothing is written."""
    changed = [piece for piece in pieces if piece.is_low_rank]
    if all(piece.dtype in ("F32", "F64") for piece in changed):
        return 0.0
    rounding = change = 0.0
    try:
        for done, squares in enumerate(two_at_a_time(measure_piece, changed), 1):
            rounding, change = rounding + squares[0], change + squares[1]
            measuring(done, len(changed))
    finally:
        forget_stacks()
    return (rounding / change) ** 0.5 if change else 0.0
