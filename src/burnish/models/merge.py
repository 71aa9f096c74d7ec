"""Folds a LoRA adapter into its base, tensor by tensor: memory is bounded by the largest tensor, not by the model.

    W' = W + s·B·A                                     LoRA (arXiv 2106.09685), s = alpha/r; rsLoRA: alpha/√r
    W' = m · (W + s·B·A) / ‖W + s·B·A‖  by output      DoRA (arXiv 2402.09353)

The arithmetic is in float32 and in PEFT's order, so that the result has the same bits as `merge_and_unload`.
"""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from burnish.core.errors import ModelError
from burnish.models.adapters import adapter_weights
from burnish.models.load import is_adapter, quiet_transformers, read_config, refuse_remote_code
from burnish.models.weights import (
    ADAPTER_CONFIG,
    WEIGHTS,
    WEIGHTS_INDEX,
    StreamedWriter,
    TensorInfo,
    read_header,
    read_json,
    read_tensors,
    size_in_bytes,
)

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "F64": torch.float64}
_NAMES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}
_ROWS = 256
_COPIED = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.json", "vocab.txt", "merges.txt", "*.model", "*.tiktoken"),
    *("chat_template.jinja", "chat_template.json", "additional_chat_templates/*.jinja"),
    *("generation_config.json", "preprocessor_config.json", "processor_config.json", "LICENSE*", "NOTICE*"),
)
_CHANGES_THE_FORMULA = (
    *("bias", "lora_bias", "use_qalora", "use_bdlora", "target_parameters", "trainable_token_indices"),
    *("layer_replication", "alora_invocation_tokens", "arrow_config", "kasa_config", "velora_config"),
    *("monteclora_config", "ensure_weight_tying"),
)


@dataclass(frozen=True)
class Merged:
    """What a merge did."""

    parameters: int
    changed: int
    """Tensors that the adapter changed."""
    files: int
    """Weights files written."""
    untied: bool
    """The base shared its embedding with its head; the adapter changed one of them, so the model has two now."""
    rounded: float
    """‖rounding‖ / ‖change‖ of the weights that low-rank matrices changed: 0 in float32, 1 if all of it may be lost."""


@dataclass(frozen=True)
class LowRank:
    """The change of one weight: two matrices, their scale and, for DoRA, the magnitudes."""

    a: TensorInfo
    b: TensorInfo
    scale: float
    magnitude: TensorInfo | None
    layer: Literal["linear", "transposed", "embedding"]
    """`transposed`: the weight lies as [in, out] (GPT-2's Conv1D)."""

    @property
    def shape(self) -> tuple[int, int]:
        rows, columns = self.b.shape[0], self.a.shape[1]
        return (rows, columns) if self.layer == "linear" else (columns, rows)

    def apply(self, weight: torch.Tensor) -> torch.Tensor:
        """The merged weight in float32; `weight` may be overwritten."""
        delta = read_tensor(self.b).float() @ read_tensor(self.a).float()  # [out, in]
        if self.layer != "linear":
            delta = delta.T
        merged = weight.float().add_(delta.mul_(self.scale))
        if self.magnitude is None:
            return merged
        outputs = 0 if self.layer == "linear" else 1
        norm = torch.linalg.norm(merged if outputs == 0 else merged.T, dim=1)  # [out]
        return merged.mul_((read_tensor(self.magnitude).float() / norm).unsqueeze(1 - outputs))


Change = LowRank | TensorInfo
"""A low-rank change, or the tensor that takes a weight's place (a module trained fully)."""


@dataclass(frozen=True)
class _Piece:
    """One tensor of the merged model: where it comes from and what changes it."""

    name: str
    dtype: str
    source: TensorInfo
    change: Change | None

    @property
    def bytes(self) -> int:
        return size_in_bytes(self.dtype, self.source.shape)


def merge_adapter(
    adapter: Path,
    base: Path,
    out: Path,
    *,
    dtype: str = "keep",
    max_shard_bytes: int = 4_000_000_000,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Merged:
    """Write the plain model `base` + `adapter` into the folder `out`, with config and tokenizer.

    The adapter's own tokenizer, where it has one, goes before the base's. `progress` gets (tensors done, of all).
    Errors: ModelError `model.wrong-adapter` for other kinds than LoRA, rsLoRA, DoRA and modules trained fully, and
    where names or shapes do not fit; those of reading either folder.
    """
    if is_adapter(base):
        raise ModelError("model.wrong-adapter", f"the base {base} is an adapter itself", "merge that one first")
    config = read_config(base)
    refuse_remote_code(base / "config.json", config)
    if "quantization_config" in config:
        raise ModelError(
            "model.wrong-adapter", f"the base {base} is quantized", "merge into the original weights, then quantize"
        )
    skeleton = _skeleton(base)
    pieces, untied = _plan(skeleton, read_tensors(base), _changes(adapter, skeleton), dtype, adapter)
    out.mkdir(parents=True, exist_ok=True)
    shards = list(_shards(pieces, max_shard_bytes))
    done = 0
    rounding = change = 0.0
    weight_map: dict[str, str] = {}
    for number, shard in enumerate(shards, 1):
        name = WEIGHTS if len(shards) == 1 else f"model-{number:05}-of-{len(shards):05}.safetensors"
        with StreamedWriter(out / name, [(piece.name, piece.dtype, piece.source.shape) for piece in shard]) as writer:
            for piece in shard:
                squares = _write(piece, writer)
                rounding, change = rounding + squares[0], change + squares[1]
                weight_map[piece.name] = name
                done += 1
                progress(done, len(pieces))
    if len(shards) > 1:
        index = {"metadata": {"total_size": sum(piece.bytes for piece in pieces)}, "weight_map": weight_map}
        (out / WEIGHTS_INDEX).write_text(json.dumps(index, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    _write_config(config, out, dtype, untied)
    for folder in (base, adapter):
        _copy_companions(folder, out)
    return Merged(
        parameters=sum(piece.source.size for piece in pieces),
        changed=sum(piece.change is not None for piece in pieces),
        files=len(shards),
        untied=untied,
        rounded=(rounding / change) ** 0.5 if change else 0.0,
    )


def read_tensor(tensor: TensorInfo) -> torch.Tensor:
    """A tensor's values, in memory of its own: a mapped file would stay resident page by page."""
    buffer = bytearray(tensor.bytes)
    with tensor.file.open("rb") as file:
        file.seek(tensor.start)
        file.readinto(buffer)
    return torch.frombuffer(buffer, dtype=_DTYPES[tensor.dtype]).reshape(tensor.shape)


def _skeleton(base: Path) -> "PreTrainedModel":
    """The base's modules without weights: which layers lie transposed, what is tied, how tensors are named."""
    from transformers import AutoConfig, AutoModelForCausalLM

    with quiet_transformers(), torch.device("meta"):
        config = AutoConfig.from_pretrained(base, trust_remote_code=False, local_files_only=True)
        return AutoModelForCausalLM.from_config(config, trust_remote_code=False)


def _changes(adapter: Path, skeleton: "PreTrainedModel") -> dict[str, Change]:
    """The adapter's changes by the name of the weight they change."""
    from transformers.pytorch_utils import Conv1D

    weights = adapter_weights(adapter)
    config = read_json(adapter / ADAPTER_CONFIG)
    _refuse_other_kinds(adapter, config)
    tensors = {tensor.name.removeprefix("base_model.model."): tensor for tensor in read_header(weights)}
    modules = dict(skeleton.named_modules())
    changes: dict[str, Change] = {}
    while tensors:
        name = next(iter(tensors))
        match = re.fullmatch(r"(.+)\.lora_(?:(embedding)_)?(?:[AB]|magnitude_vector)(?:\.weight)?", name)
        if match is None:
            changes[name] = tensors.pop(name)
            continue
        path = match[1]
        pair = [("lora_A.weight", "lora_B.weight"), ("lora_embedding_A", "lora_embedding_B")]
        a, b = next((names for names in pair if f"{path}.{names[0]}" in tensors), pair[0])
        if f"{path}.{a}" not in tensors or f"{path}.{b}" not in tensors or path not in modules:
            raise _wrong(adapter, f"'{name}' has no counterpart")
        transposed = isinstance(modules[path], Conv1D)
        low, high = tensors.pop(f"{path}.{a}"), tensors.pop(f"{path}.{b}")
        changes[f"{path}.weight"] = LowRank(
            a=low,
            b=high,
            scale=_scale(config, path, low.shape[0]),
            magnitude=tensors.pop(f"{path}.lora_magnitude_vector", None),
            layer="embedding" if a == "lora_embedding_A" else "transposed" if transposed else "linear",
        )
    return changes


def _refuse_other_kinds(adapter: Path, config: dict[str, Any]) -> None:
    """Only what `LowRank` computes may be merged; other kinds would give a wrong model in silence."""
    if config.get("peft_type") != "LORA":
        raise _wrong(adapter, f"it is a {config.get('peft_type')} adapter and only LoRA can be merged")
    for field in _CHANGES_THE_FORMULA:
        if config.get(field) not in (None, False, "none", [], {}):
            raise _wrong(adapter, f"it was made with {field}: {config[field]}, which cannot be merged by burnish")


def _scale(config: dict[str, Any], path: str, rank: int) -> float:
    """alpha/r, or alpha/√r for rsLoRA; `alpha_pattern` may give a module its own alpha."""
    patterns = config.get("alpha_pattern") or {}
    alpha = next(
        (alpha for pattern, alpha in patterns.items() if re.match(rf"(.*\.)?({pattern})$", path)), config["lora_alpha"]
    )
    return alpha / (rank**0.5 if config.get("use_rslora") else rank)


def _plan(
    skeleton: "PreTrainedModel", tensors: dict[str, TensorInfo], changes: dict[str, Change], dtype: str, adapter: Path
) -> tuple[list[_Piece], bool]:
    """Every tensor of the merged model, in the base's order, and whether embedding and head were untied."""
    on_disk: dict[str, Change] = {}
    embedding, head = _embedding_and_head(skeleton)
    tied = bool(skeleton.config.get_text_config().tie_word_embeddings)
    untied = tied and (embedding in changes or head in changes)
    sources = dict(tensors)
    if untied:
        shared = sources.get(_find(embedding, tensors) or _find(head, tensors) or "")
        if shared is None:
            raise _wrong(adapter, f"the base has no tensor '{embedding}'")
        sources.setdefault(_find(embedding, tensors) or embedding, shared)
        sources.setdefault(head, shared)
    for name, change in changes.items():
        found = _find(name, sources)
        if found is None:
            raise _wrong(adapter, f"the base has no tensor '{name}'")
        if change.shape != sources[found].shape:
            raise _wrong(adapter, f"'{name}' is {list(sources[found].shape)} but its change is {list(change.shape)}")
        on_disk[found] = change
    cast = {} if dtype == "keep" else dict.fromkeys(_DTYPES, _NAMES[dtype])
    pieces = [
        _Piece(name, cast.get(source.dtype, source.dtype), source, on_disk.get(name))
        for name, source in sources.items()
    ]
    return pieces, untied


def _embedding_and_head(skeleton: "PreTrainedModel") -> tuple[str, str]:
    """The names of the two weights that a model may share."""
    paths = {module: path for path, module in skeleton.named_modules()}
    return f"{paths[skeleton.get_input_embeddings()]}.weight", f"{paths[skeleton.get_output_embeddings()]}.weight"


def _find(name: str, tensors: dict[str, TensorInfo]) -> str | None:
    """The tensor's name in the files; older files leave out the first part (`transformer.h.0…` lies as `h.0…`)."""
    return next((candidate for candidate in (name, name.partition(".")[2]) if candidate in tensors), None)


def _shards(pieces: list[_Piece], max_bytes: int) -> Iterator[list[_Piece]]:
    """Group tensors, in order, into files of at most `max_bytes`; a larger tensor gets a file of its own."""
    shard: list[_Piece] = []
    held = 0
    for piece in pieces:
        if shard and held + piece.bytes > max_bytes:
            yield shard
            shard, held = [], 0
        shard.append(piece)
        held += piece.bytes
    if shard:
        yield shard


def _write(piece: _Piece, writer: StreamedWriter) -> tuple[float, float]:
    """Write a tensor; give ‖rounding‖² and ‖change‖² where low-rank matrices changed it, else zeros."""
    if piece.change is None and piece.dtype == piece.source.dtype:
        writer.copy(piece.source, piece.name)
        return 0.0, 0.0
    squares = 0.0, 0.0
    if isinstance(piece.change, LowRank):
        tensor = piece.change.apply(read_tensor(piece.source))
        written = tensor.to(_DTYPES[piece.dtype])
        squares = _distance(tensor, written), _distance(tensor, read_tensor(piece.source))
    else:
        written = read_tensor(piece.change or piece.source).to(_DTYPES[piece.dtype])
    flat = written.contiguous().reshape(-1)
    writer.write(piece.name, flat.view(torch.uint8).numpy().data)
    return squares


def _distance(one: torch.Tensor, other: torch.Tensor) -> float:
    """‖one - other‖², some rows at a time, for memory."""
    rows = zip(one.split(_ROWS), other.split(_ROWS), strict=True)
    return sum(float((a.float() - b.float()).square().sum()) for a, b in rows)


def _write_config(config: dict[str, Any], out: Path, dtype: str, untied: bool) -> None:
    for part in (config, config.get("text_config", {})):
        if dtype != "keep":
            part.update({key: dtype for key in ("dtype", "torch_dtype") if key in part})
        if untied and (part is config or "tie_word_embeddings" in part):
            part["tie_word_embeddings"] = False
    if dtype != "keep" and "torch_dtype" not in config:
        config["dtype"] = dtype
    (out / "config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _copy_companions(folder: Path, out: Path) -> None:
    """Tokenizer, chat template, generation config and licence."""
    for pattern in _COPIED:
        for file in folder.glob(pattern):
            target = out / file.relative_to(folder)
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(file, target)


def _wrong(adapter: Path, what: str) -> ModelError:
    return ModelError(
        "model.wrong-adapter",
        f"the adapter {adapter} cannot be merged: {what}",
        "give the base that it was trained on, as transformers saves it",
    )
