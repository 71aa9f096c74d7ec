"""The cost of rounding: exact masters at the start of a training, and the dtype of the saved weights at its end.

A float32 base that is trained in bfloat16 is read a second time, weight by weight, so that its masters start from the
exact weights and not from rounded ones. At the end a full model is saved in its base's dtype, unless that would lose
more than a tenth of what was learned: ‖rounding‖ / ‖update‖ over all trained weights, as in a merge.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from burnish.core.events import Chosen, Event, Note
from burnish.models.dtypes import dtypes_in
from burnish.models.probing import causal_model
from burnish.train.optim.optimizers import Optimizer

LOST_TO_REPORT = 0.1
"""Share of the update's norm: `save_dtype: auto` avoids a larger loss by rounding; otherwise it is reported."""


@dataclass(frozen=True)
class Start:
    """The weights at the start of a training."""

    weights: Callable[[], Mapping[str, Tensor]]
    """Initialises, loads or opens them by name, without rounding."""
    dtype: torch.dtype | None
    """The dtype of the base's files; None without a base."""
    is_rounded: bool
    """True if the trained model was made from them by rounding."""

    def masters(self, model: nn.Module) -> Mapping[str, Tensor]:
        """The exact float32 values of rounded weights, by their names in `model`; read one by one."""
        if not self.is_rounded:
            return {}
        names = {name: plain_name(name) for name, weight in model.named_parameters() if weight.requires_grad}
        if all(".lora_" in name or ".token_adapter." in name for name in names.values()):
            return {}
        return _Named(self.weights(), names)


class _Named(Mapping[str, Tensor]):
    """Weights by other names, each without shared memory."""

    def __init__(self, weights: Mapping[str, Tensor], names: Mapping[str, str]):
        self._weights = weights
        self._names = {name: plain for name, plain in names.items() if plain in weights}
        self._given: set[int] = set()

    def __getitem__(self, name: str) -> Tensor:
        value = self._weights[self._names[name]].detach().float()
        if value.data_ptr() in self._given:  # tied in the base, trained apart
            value = value.clone()
        self._given.add(value.data_ptr())
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def plain_name(name: str) -> str:
    """The name of a weight without the prefixes of PEFT's wrappers."""
    return name.removeprefix("base_model.model.").replace(".modules_to_save.default", "")


def give_whole_model(
    model: nn.Module, optimizer: Optimizer, requested: str, start: Start | None, emit: Callable[[Event], None]
) -> dict[str, Any]:
    """Copy the masters into a full model in the dtype that it is saved in; returns `saved_dtype` and `rounded`.

    `requested` is `auto`, `base` or a dtype.
    """
    lost = 0.0
    base = None if start is None else start.dtype
    dtype = base if requested in ("auto", "base") else getattr(torch, requested)
    if dtype is None:
        dtype = torch.float32
    dtypes = _dtypes(model, dtype)
    if start is not None and dtype != torch.float32:
        lost = _share_lost(optimizer, dtypes, start.weights())
    if requested == "auto":
        why = (
            "there is no base, and it loses nothing" if base is None else f"that of the base, where {lost:.1%} is lost"
        )
        if lost > LOST_TO_REPORT:
            why = f"rounding to the base's {_name(dtype)} would lose {lost:.0%} of what was learned"
            dtype, lost = torch.float32, 0.0
            dtypes = _dtypes(model, dtype)
        emit(Chosen(field="method.save_dtype", value=_name(dtype), reason=why))
    elif lost > LOST_TO_REPORT:
        text = f"rounding to {_name(dtype)} lost {lost:.0%} of what was learned: method.save_dtype: float32 keeps it"
        emit(Note(level="warning", text=text))
    optimizer.give_masters(dtypes)
    _give_frozen(model, optimizer, dtypes, start)
    return {"saved_dtype": _name(dtype), "rounded": round(lost, 4)}


@torch.no_grad()
def _give_frozen(
    model: nn.Module, optimizer: Optimizer, dtypes: Mapping[str, torch.dtype], start: Start | None
) -> None:
    """Give frozen weights the values of the base, which the run may have rounded, in the dtype to save."""
    frozen = {name: weight for name, weight in model.named_parameters() if name not in optimizer.masters}
    exact = start.weights() if frozen and start is not None and start.is_rounded else {}
    for name, weight in frozen.items():
        weight.data = exact.get(name, weight).to(weight.device, dtypes.get(name, torch.float32))


def _dtypes(model: nn.Module, dtype: torch.dtype) -> dict[str, torch.dtype]:
    """The dtype of each weight in a model of dtype `dtype`; weights not named here stay float32."""
    if dtype == torch.float32:
        return {}
    causal = causal_model(model)
    found = dtypes_in(causal, dtype)
    return {name: found[name] for name, _ in causal.named_parameters() if name in found}


@torch.no_grad()
def _share_lost(optimizer: Optimizer, dtypes: Mapping[str, torch.dtype], before: Mapping[str, Tensor]) -> float:
    rounding = update = 0.0
    for name, master in _on_cpu(optimizer):
        if name not in before:  # a new head
            continue
        rounding += float((master - master.to(dtypes[name]).float()).square().sum())
        update += float((master - before[name].float()).square().sum())
    return (rounding / update) ** 0.5 if update else float(rounding > 0)


def _on_cpu(optimizer: Optimizer) -> Iterator[tuple[str, Tensor]]:
    for name, master in optimizer.masters.items():
        yield name, master.detach().cpu()


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
