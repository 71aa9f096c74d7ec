"""The layers that several adapters of one base change, in the base's order; what no method combines is refused."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burnish.core.errors import ModelError
from burnish.models.adapters.attach import adapter_weights
from burnish.models.adapters.changes import LowRank, Replaced, Shifted, TrainedRows, changes_of
from burnish.models.adapters.config import read_adapter_config
from burnish.models.combining.methods import Factors
from burnish.models.layout import skeleton_of
from burnish.models.load import read_config
from burnish.models.quantization.record import read_quantization
from burnish.models.reward import TASK
from burnish.models.tensors import read_tensor

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Weighted:
    """An adapter with its weight, and its name in messages."""

    name: str
    folder: Path
    weight: float


@dataclass(frozen=True)
class Layer:
    """One weight of the base, with its changes: one for each adapter, None where an adapter does not change it."""

    name: str
    changes: tuple[LowRank | None, ...]

    @property
    def first(self) -> LowRank:
        return next(change for change in self.changes if change is not None)

    @property
    def ranks(self) -> list[int | None]:
        """The rank of each change."""
        return [None if change is None else change.a.shape[0] // (change.experts or 1) for change in self.changes]

    @property
    def experts(self) -> list[int | None]:
        """The matrices of the weight: the indices of a stacked one, otherwise None alone."""
        return [None] if self.first.experts is None else list(range(self.first.experts))

    def factors(self, adapters: Sequence[Weighted], expert: int | None) -> Iterator[tuple[int, Factors]]:
        """The changes of one matrix, in float32, each with the number of its adapter."""
        for number, (adapter, change) in enumerate(zip(adapters, self.changes, strict=True)):
            if change is not None:
                a, b = matrices(change, expert)
                yield number, Factors(a, b, change.scale, adapter.weight, change.layer != "linear")


def matrices(change: LowRank, expert: int | None) -> Any:
    """A [rank, in] and B [out, rank] of a change, or of one expert of a stacked one, float32."""
    a, b = read_tensor(change.a).float(), read_tensor(change.b).float()
    if expert is None:
        return a, b
    experts = change.experts or 1
    return a.reshape(experts, -1, a.shape[1])[expert], b.reshape(b.shape[0], -1, experts)[:, :, expert]


def layers_of(adapters: Sequence[Weighted], base: Path) -> list[Layer]:
    """Every layer that an adapter changes, in the order of the base's modules; `base` is read without its weights.

    Errors: those of `changes_of`; ModelError `model.wrong-adapter` for DoRA, trained tokens, biases, modules trained in
    full, the adapter of a reward model, and bases in 4 bits that differ.
    """
    config = read_config(base)
    _refuse_other_quantization(adapters)
    skeleton = skeleton_of(base, config)
    order = {name: place for place, name in enumerate(_weights(skeleton))}
    found: list[dict[str, LowRank]] = []
    for adapter in adapters:
        _refuse_reward(adapter)
        changes = changes_of(adapter.folder, skeleton_of(base, config))
        found.append({name: _low_rank(adapter, name, change) for name, change in changes.items()})
    names = sorted({name for changes in found for name in changes}, key=lambda name: order.get(name, len(order)))
    return [Layer(name, tuple(changes.get(name) for changes in found)) for name in names]


def _weights(skeleton: "PreTrainedModel") -> Iterator[str]:
    for path, module in skeleton.named_modules():
        for name, _ in module.named_parameters(recurse=False):
            yield f"{path}.{name}" if path else name


def _low_rank(adapter: Weighted, name: str, change: Any) -> LowRank:
    if isinstance(change, TrainedRows):
        what = f"it trains rows of '{name}' (new_tokens), and rows of tokens are not sums of changes"
        raise cannot_combine(adapter, what, "merge it into the base, and train the other adapters on the merged model")
    if isinstance(change, Shifted) or name.endswith(".bias"):
        what = f"it trains '{name}' (bias or lora_bias), and PEFT combines low-rank changes only"
        raise cannot_combine(adapter, what, "merge it into the base, and train the other adapters on the merged model")
    if isinstance(change, Replaced):
        what = f"it replaces '{name}' (modules_to_save), and PEFT combines low-rank changes only"
        raise cannot_combine(adapter, what, "merge it into the base, and train the other adapters on the merged model")
    if change.magnitude is not None:
        what = f"it is a DoRA (use_dora: '{name}'), whose change depends on the base and is not a sum"
        raise cannot_combine(adapter, what, "train it without method.dora, or merge it into the base by itself")
    return change


def _refuse_reward(adapter: Weighted) -> None:
    if read_adapter_config(adapter.folder).get("task_type") == TASK:
        what = f"it is of a reward model (task_type {TASK}), and scoring heads cannot be summed"
        raise cannot_combine(adapter, what, "combine the adapters of language models only")


def _refuse_other_quantization(adapters: Sequence[Weighted]) -> None:
    """All bases must have the same values in the training: in 4 bits, or as in the files."""
    first, *others = adapters
    expected = read_quantization(first.folder)
    for other in others:
        found = read_quantization(other.folder)
        if found != expected:
            kinds = [record.kind if record else "not quantized" for record in (expected, found)]
            same = "; other settings or layers" if kinds[0] == kinds[1] else ""
            raise ModelError(
                "model.wrong-adapter",
                f"the adapters {first.name} and {other.name} were trained on bases with different values: "
                f"{kinds[0]} and {kinds[1]} (method: qlora{same})",
                "combine adapters whose base was quantized in the same way, or not at all",
            )


def cannot_combine(adapter: Weighted, what: str, fix: str) -> ModelError:
    """The error for an adapter of a kind that no method combines."""
    text = f"the adapter {adapter.name} ({adapter_weights(adapter.folder).parent}) cannot be combined: {what}"
    return ModelError("model.wrong-adapter", text, fix)
