"""The importance of the columns of each weight: mean squares of what it is multiplied by, on rows of a dataset.

It is what llama.cpp's imatrix tool gathers and its quantizer divides by the count of tokens: for a weight of experts
each expert apart, with ones for an expert that no token reaches. The head and the embedding have none.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from burnish.core.errors import DataError, RunError
from burnish.models.probing import causal_model

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_HEAD = "lm_head"


@dataclass(frozen=True)
class Importance:
    """What was gathered."""

    values: Mapping[str, NDArray[np.float32]]
    """By transformers' name of the weight: [columns], or [experts, columns]."""
    rows: int
    tokens: int
    unreached: Mapping[str, tuple[int, ...]]
    """By weight, the experts that no token reached."""
    experts: int
    """Of all layers together."""

    def as_dict(self) -> dict[str, Any]:
        """Counts, for the record."""
        missing = {name: list(numbers) for name, numbers in self.unreached.items()}
        counts = {"rows": self.rows, "tokens": self.tokens, "weights": len(self.values)}
        return {**counts, "experts": self.experts, "experts_without_tokens": missing}

    def sentence(self) -> str:
        """Which experts no token reached; "" if all were reached."""
        missing = sum(map(len, self.unreached.values()))
        if not missing:
            return ""
        first, numbers = next(iter(self.unreached.items()))
        where = f"expert {numbers[0]} of {first}"
        return f"no token of the importance rows reached {missing} of {self.experts} experts, the first is {where}"


def gather(
    model: "PreTrainedModel",
    rows: Sequence[Sequence[int]],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Importance:
    """Run the rows through the model one by one; memory holds a vector for each weight.

    Errors: DataError `data.empty` without rows; RunError `run.not-finite` for activations that are NaN or infinite.
    """
    if not rows:
        raise DataError("data.empty", "there are no rows to measure the importance on", "name other data")
    plain = causal_model(model).eval()
    sums: dict[str, torch.Tensor] = {}
    counts: dict[str, torch.Tensor] = {}
    hooks: list[Any] = []
    for name, module in plain.named_modules():
        if isinstance(module, torch.nn.Linear) and name != _HEAD:
            hooks.append(module.register_forward_pre_hook(partial(_of_linear, sums, counts, name)))
        elif hasattr(module, "gate_up_proj") and hasattr(module, "down_proj") and hasattr(module, "num_experts"):
            hooks.append(module.register_forward_pre_hook(partial(_of_experts, sums, counts, name), with_kwargs=True))
    try:
        with torch.inference_mode():
            for done, row in enumerate(rows, 1):
                plain(input_ids=torch.tensor([list(row)], device=plain.device), use_cache=False)
                progress(done, len(rows))
    finally:
        for hook in hooks:
            hook.remove()
    values: dict[str, NDArray[np.float32]] = {}
    unreached: dict[str, tuple[int, ...]] = {}
    experts = 0
    for name, total in sums.items():
        count = counts[name]
        if not bool(total.isfinite().all()):
            what = f"the activations before '{name}' are NaN or infinite"
            raise RunError("run.not-finite", what, "check the model with burnish evaluate")
        if total.ndim == 2:
            missing = tuple((count == 0).nonzero().flatten().tolist())
            if name.endswith("down_proj"):  # the same experts as those of gate and up
                experts += len(count)
                unreached |= {name: missing} if missing else {}
        means = torch.where(count[..., None] > 0, total / count[..., None].clamp(min=1), 1.0)
        values[name] = means.float().cpu().numpy()
    return Importance(values, len(rows), sum(map(len, rows)), unreached, experts)


def _of_linear(
    sums: dict[str, torch.Tensor], counts: dict[str, torch.Tensor], name: str, module: Any, given: tuple[Any, ...]
) -> None:
    values = given[0].reshape(-1, given[0].shape[-1])
    _add(sums, counts, f"{name}.weight", values.double().square().sum(dim=0), torch.tensor(len(values)))


def _of_experts(
    sums: dict[str, torch.Tensor],
    counts: dict[str, torch.Tensor],
    name: str,
    module: Any,
    given: tuple[Any, ...],
    named: dict[str, Any],
) -> None:
    """A stack of experts computes in one function: what comes before its second product is computed here again."""
    given = (*given, *(named[key] for key in ("hidden_states", "top_k_index") if key in named))
    hidden, chosen = given[0].reshape(-1, given[0].shape[-1]), given[1].reshape(-1, given[1].shape[-1])
    number = module.gate_up_proj.shape[0]
    before = torch.zeros(number, module.gate_up_proj.shape[2], dtype=torch.float64)
    inside = torch.zeros(number, module.down_proj.shape[2], dtype=torch.float64)
    count = torch.zeros(number, dtype=torch.int64)
    for expert in chosen.unique().tolist():
        if expert >= number:
            continue
        states = hidden[(chosen == expert).any(dim=-1)]
        gate, up = torch.nn.functional.linear(states, module.gate_up_proj[expert]).chunk(2, dim=-1)
        before[expert] = states.double().square().sum(dim=0).cpu()
        inside[expert] = (module.act_fn(gate) * up).double().square().sum(dim=0).cpu()
        count[expert] = len(states)
    _add(sums, counts, f"{name}.gate_up_proj", before, count)
    _add(sums, counts, f"{name}.down_proj", inside, count)


def _add(
    sums: dict[str, torch.Tensor],
    counts: dict[str, torch.Tensor],
    name: str,
    values: torch.Tensor,
    count: torch.Tensor,
) -> None:
    sums[name] = sums[name] + values.cpu() if name in sums else values.cpu()
    counts[name] = counts[name] + count if name in counts else count
