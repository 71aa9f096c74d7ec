"""The changes of an adapter: for each weight of its base, two low-rank matrices, or a replacement of it or of rows.

    W' = W + s·B·A                                     LoRA (arXiv 2106.09685), s = alpha/r; rsLoRA: alpha/√r
    W' = m · (W + s·B·A) / ‖W + s·B·A‖  by output      DoRA (arXiv 2402.09353)
    W'[e] = W[e] + s·B[e]·A[e]                         the experts of a stacked weight
    b' = b + s·c                                       lora_bias: c is the bias of B
    W' = dequantize(quantize(W))                       QLoRA, before its adapter's own change

PEFT itself attaches the adapter to the base without weights, so a merge accepts exactly what loading accepts.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from burnish.core.errors import ModelError
from burnish.models.adapters.attach import adapter_weights, fit_adapter, is_copy
from burnish.models.adapters.config import read_adapter_config
from burnish.models.adapters.new_tokens import tokens_of
from burnish.models.layout import Rows
from burnish.models.quantization.layers import round_trip
from burnish.models.quantization.record import Quantization
from burnish.models.tensors import read_tensor, refuse_not_finite
from burnish.models.weights import ADAPTER_CONFIG, TensorInfo, read_header, refuse_integers

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel

_CHANGES_THE_FORMULA = (
    *("use_qalora", "use_bdlora"),
    *("layer_replication", "alora_invocation_tokens", "arrow_config", "kasa_config", "velora_config"),
    *("monteclora_config", "ensure_weight_tying"),
)
_CHANGES_THE_BASE = ("pissa", "corda", "olora", "loftq", "lora_ga")
"""Initialisations that also change the base: the adapter's file does not hold that change."""


@dataclass(frozen=True)
class LowRank:
    """The change of one weight: two matrices, their scale and, for DoRA, the magnitudes."""

    a: TensorInfo
    b: TensorInfo
    scale: float
    magnitude: TensorInfo | None
    layer: Literal["linear", "transposed", "embedding"]
    """`transposed`: the weight is stored as [in, out] (GPT-2's Conv1D, some experts)."""
    experts: int | None = None
    """A stacked weight's number of experts: `a` is [experts · rank, in], `b` is [out, rank · experts]."""

    @property
    def shape(self) -> tuple[int, ...]:
        rows, columns = self.b.shape[0], self.a.shape[1]
        matrix = (rows, columns) if self.layer == "linear" else (columns, rows)
        return matrix if self.experts is None else (self.experts, *matrix)

    def apply(self, weight: torch.Tensor, expert: int | None = None, rows: Rows | None = None) -> torch.Tensor:
        """The merged weight in float32; `weight` may be overwritten.

        `weight` is the whole weight, the matrix of one expert, or those rows of either.
        """
        if self.experts is not None and expert is None:
            weight = weight.float()
            for number in range(self.experts):
                weight[number] = self.apply(weight[number], number)
            return weight
        part = slice(None) if rows is None else slice(*rows)
        merged = weight.float().add_(self.delta(expert)[part])
        if self.magnitude is None:
            return merged
        outputs = 0 if self.layer == "linear" else 1
        norm = torch.linalg.norm(merged if outputs == 0 else merged.T, dim=1)  # [out]
        magnitude = read_tensor(self.magnitude).float()
        return merged.mul_(((magnitude[part] if outputs == 0 else magnitude) / norm).unsqueeze(1 - outputs))

    def delta(self, expert: int | None = None) -> torch.Tensor:
        """s·B·A in the weight's orientation, in float32."""
        return self.product(expert).mul_(self.scale)

    def product(self, expert: int | None = None, into: torch.Tensor | None = None) -> torch.Tensor:
        """B·A in the weight's orientation, in float32; in the memory of `into` [out, in], where it is given."""
        if expert is None:
            product = torch.mm(read_tensor(self.b).float(), read_tensor(self.a).float(), out=into)  # [out, in]
        else:
            a, b = _stacked(self)
            product = b[:, :, expert] @ a[expert]
        return product if self.layer == "linear" else product.T


@lru_cache(maxsize=4)  # a file stores the branches of one expert after another: each needs its stack again
def _stacked(change: LowRank) -> tuple[torch.Tensor, torch.Tensor]:
    """A as [experts, rank, in] and B as [out, rank, experts]."""
    a, b = read_tensor(change.a).float(), read_tensor(change.b).float()
    return a.reshape(change.experts or 1, -1, a.shape[-1]), b.reshape(b.shape[0], -1, change.experts or 1)


@dataclass(frozen=True)
class Replaced:
    """The replacement of a weight (a fully trained module)."""

    tensor: TensorInfo

    @property
    def shape(self) -> tuple[int, ...]:
        return self.tensor.shape

    def apply(self, weight: torch.Tensor, expert: int | None = None, rows: Rows | None = None) -> torch.Tensor:
        """As `LowRank.apply`; `weight` is not read."""
        found = read_tensor(self.tensor)
        found = found if expert is None else found[expert]
        return found if rows is None else found[slice(*rows)]


@dataclass(frozen=True)
class Shifted:
    """The change of a bias: the bias of B (`lora_bias`), and its scale."""

    tensor: TensorInfo
    scale: float

    @property
    def shape(self) -> tuple[int, ...]:
        return self.tensor.shape

    def apply(self, weight: torch.Tensor, expert: int | None = None, rows: Rows | None = None) -> torch.Tensor:
        """As `LowRank.apply`."""
        shift = read_tensor(self.tensor).float() * self.scale
        return weight.float() + (shift if rows is None else shift[slice(*rows)])


@dataclass(frozen=True)
class TrainedRows:
    """Rows of an embedding or a head that are replaced, or added at its end (trained tokens)."""

    tensor: TensorInfo  # [ids, width]
    ids: tuple[int, ...]
    before: int
    """Rows of the base's weight."""

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the base's weight."""
        return (self.before, *self.tensor.shape[1:])

    @property
    def rows(self) -> int:
        """Rows of the merged weight."""
        return max(self.before, max(self.ids) + 1)

    def apply(self, weight: torch.Tensor, expert: int | None = None, rows: Rows | None = None) -> torch.Tensor:
        """The whole merged weight in float32; a part of it is not supported."""
        merged = torch.cat([weight.float(), torch.zeros(self.rows - self.before, *weight.shape[1:])])
        merged[list(self.ids)] = read_tensor(self.tensor).float()
        return merged


@dataclass(frozen=True)
class Dequantized:
    """The replacement of a weight by the values that it has in 4 bits."""

    quantization: Quantization
    shape: tuple[int, ...]
    transposed: bool
    """The weight is stored as [in, out] (GPT-2's Conv1D)."""
    whole: Callable[[], torch.Tensor] | None = None
    """Reads the whole weight where `apply` gets a part of it: 64 weights have one scale, whatever the files hold."""

    def apply(self, weight: torch.Tensor, expert: int | None = None, rows: Rows | None = None) -> torch.Tensor:
        """As `LowRank.apply`."""
        if tuple(weight.shape) == self.shape or self.whole is None:
            return round_trip(weight.float(), self.quantization, self.transposed)
        found = round_trip(self.whole(), self.quantization, self.transposed)
        return found if rows is None else found[slice(*rows)]


Change = LowRank | Replaced | Shifted | TrainedRows | Dequantized


def dequantized(quantization: Quantization | None, skeleton: "PreTrainedModel") -> "list[tuple[str, Dequantized]]":
    """The changes that give a base its values in 4 bits, by weight name; none if it was not quantized.

    Errors: ModelError `model.wrong-adapter` for a layer that the model does not have.
    """
    from transformers.pytorch_utils import Conv1D

    found: list[tuple[str, Dequantized]] = []
    modules = dict(skeleton.named_modules())
    for path in () if quantization is None else quantization.layers:
        layer: Any = modules.get(path)
        if layer is None or quantization is None:
            raise ModelError(
                "model.wrong-adapter",
                f"the adapter was trained on a base in 4 bits with a layer '{path}', which this model does not have",
                "use the base that the adapter was trained on",
            )
        shape = tuple(layer.weight.shape)
        found.append((f"{path}.weight", Dequantized(quantization, shape, isinstance(layer, Conv1D))))
    return found


def changes_of(adapter: Path, skeleton: "PreTrainedModel") -> dict[str, Change]:
    """The adapter's changes by weight name; attaches the adapter to `skeleton`.

    Errors: those of `fit_adapter`; ModelError `model.wrong-adapter` for kinds that are not merged, `model.broken`
    for values that are not finite.
    """
    from peft.tuners.trainable_tokens import TrainableTokensLayer

    weights = adapter_weights(adapter)
    config = read_adapter_config(adapter)
    _refuse_other_kinds(adapter, config)
    tensors = {tensor.name.removeprefix("base_model.model."): tensor for tensor in read_header(weights)}
    refuse_integers(weights, tensors.values())
    before: int = skeleton.get_input_embeddings().weight.shape[0] if tokens_of(config) else 0  # pyright: ignore
    model: Any = fit_adapter(skeleton, adapter)
    for name, tensor in tensors.items():
        refuse_not_finite(weights, {name: read_tensor(tensor)})
    changes: dict[str, Change] = {}
    for path, layer in model.base_model.model.named_modules():
        if isinstance(layer, TrainableTokensLayer) and layer.tied_adapter is None:
            rows = tensors.pop(f"{path}.trainable_tokens_delta")
            weight = path.removesuffix(".token_adapter") + ".weight"
            changes[weight] = TrainedRows(rows, tuple(layer.token_indices["default"]), before)
    for place in low_rank_places(model):
        changes[place.weight] = LowRank(
            a=tensors.pop(place.a),
            b=tensors.pop(place.b),
            scale=place.scale,
            magnitude=tensors.pop(place.magnitude, None),
            layer=place.layer,
            experts=place.experts,
        )
        if (shift := tensors.pop(f"{place.b.removesuffix('.weight')}.bias", None)) is not None:
            changes[_bias_of(place.weight)] = Shifted(shift, place.scale)
    trained = {
        name.replace(".base_layer.bias", ".bias"): tensor for name, tensor in tensors.items() if not is_copy(name)
    }
    if twice := sorted(changes.keys() & trained.keys()):
        raise cannot_merge(adapter, f"it replaces '{twice[0]}' and adds to it (bias and lora_bias)")
    return changes | {name: Replaced(tensor) for name, tensor in trained.items()}


def _bias_of(weight: str) -> str:
    return f"{weight.removesuffix('.weight')}.bias"


@dataclass(frozen=True)
class LowRankPlace:
    """Where an attached adapter changes a weight, and the names of its tensors, as in PEFT's files without prefix."""

    weight: str
    a: str
    b: str
    magnitude: str
    scale: float
    layer: Literal["linear", "transposed", "embedding"]
    experts: int | None


def low_rank_places(model: "PeftModel") -> Iterator[LowRankPlace]:
    """The weights that the attached adapter changes, in the order of the model's modules."""
    from peft.tuners.lora.layer import Embedding, LoraLayer, ParamWrapper
    from transformers.pytorch_utils import Conv1D

    adapted: Any = model.base_model
    for path, layer in adapted.model.named_modules():
        if not isinstance(layer, LoraLayer) or "default" not in layer.scaling:
            continue
        stacked = isinstance(layer, ParamWrapper)
        is_embedding = isinstance(layer, Embedding)
        ends = ("lora_embedding_A", "lora_embedding_B") if is_embedding else ("lora_A.weight", "lora_B.weight")
        if stacked:
            weight = f"{path.replace('.base_layer', '')}.{layer.parameter_name}"
            transposed = layer.get_param().dim() == 3 and not layer._did_swap_in_out_features
        else:
            weight = f"{path}.weight"
            transposed = isinstance(layer.get_base_layer(), Conv1D)
        yield LowRankPlace(
            weight,
            *(f"{path}.{end}" for end in ends),
            magnitude=f"{path}.lora_magnitude_vector",
            scale=layer.scaling["default"],
            layer="embedding" if is_embedding else "transposed" if transposed else "linear",
            experts=layer.num_experts if stacked and layer.get_param().dim() == 3 else None,
        )


def copies_of(adapter: Path) -> dict[str, TensorInfo]:
    """The weights of the base that the adapter's file holds a copy of, by their names in the base."""
    header = read_header(adapter_weights(adapter))
    return {
        tensor.name.removeprefix("base_model.model.").replace(".base_layer.weight", ".weight"): tensor
        for tensor in header
        if is_copy(tensor.name)
    }


def forget_stacks() -> None:
    """Free the stacked matrices that `LowRank.apply` caches between calls."""
    _stacked.cache_clear()


def _refuse_other_kinds(adapter: Path, config: dict[str, Any]) -> None:
    """Only what `LowRank` computes may be merged; any other kind would silently give a wrong model."""
    if config.get("peft_type") != "LORA":
        raise cannot_merge(adapter, f"it is a {config.get('peft_type')} adapter, and only LoRA can be merged")
    for field in _CHANGES_THE_FORMULA:
        if config.get(field) not in (None, False, "none", [], {}):
            raise _unsupported(adapter, f"{field}: {config[field]}")
    start = config.get("init_lora_weights")
    if isinstance(start, str) and start.lower().startswith(_CHANGES_THE_BASE):
        what = f"{adapter / ADAPTER_CONFIG}: init_lora_weights: {start} means that training also changed the base"
        fix = "merge it with PEFT's merge_and_unload on the changed base, or train again with another initialisation"
        raise ModelError("model.wrong-adapter", what, fix)


def _unsupported(adapter: Path, setting: str) -> ModelError:
    return ModelError(
        "model.wrong-adapter",
        f"the adapter {adapter} cannot be merged: {ADAPTER_CONFIG} has {setting}, which burnish does not merge",
        f"merge it with PEFT's merge_and_unload, or train again without {setting.partition(':')[0]}",
    )


def cannot_merge(adapter: Path, what: str) -> ModelError:
    return ModelError(
        "model.wrong-adapter",
        f"the adapter {adapter} cannot be merged: {what}",
        "use the base that it was trained on, as saved by transformers",
    )
