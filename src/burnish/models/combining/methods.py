"""Combines the low-rank changes of one layer into one, by the functions of PEFT, with the bits of its
`add_weighted_adapter`.

    D_i = s_i·B_i·A_i                              the change of adapter i, with its weight w_i
    linear, cat                                    Σ w_i·D_i
    svd                                            Σ w_i·D_i, cut to its largest singular values
    ties_svd, dare_…_svd, magnitude_prune_svd      the same of pruned D_i (arXiv 2306.01708, 2311.03099)
    linear_factors, ties, dare_…, magnitude_prune  (Σ √|w_i·s_i|·B_i)·(Σ ±√|w_i·s_i|·A_i), of pruned factors

The product of two sums also has the terms B_i·A_j: with more than one adapter, the last line is no weighted sum of
changes (PEFT's issue 3004). PEFT calls `linear_factors` `linear`.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

Kind = Literal["sum", "stack", "factors", "svd"]
_NEGLIGIBLE = 1e-8
"""Singular values of the weighted sum below this part of the largest are rounding of the factors in float32."""


@dataclass(frozen=True)
class Method:
    """One way to combine changes."""

    kind: Kind
    peft: str
    """The `combination_type` of PEFT with the same bits; empty if it has none."""
    function: str = "task_arithmetic"
    """The function of `peft.utils.merge_utils` that combines tensors."""

    @property
    def is_sum(self) -> bool:
        """True if the result is the weighted sum of the changes."""
        return self.kind in ("sum", "stack")

    @property
    def is_random(self) -> bool:
        return self.function.startswith("dare")


_WITH_SVD: tuple[tuple[str, Kind], ...] = (("", "factors"), ("_svd", "svd"))
METHODS: dict[str, Method] = {
    "linear": Method("sum", ""),
    "cat": Method("stack", "cat"),
    "svd": Method("svd", "svd"),
    "linear_factors": Method("factors", "linear"),
    **{
        f"{name}{end}": Method(kind, f"{name}{end}", name)
        for name in ("ties", "dare_linear", "dare_ties", "magnitude_prune")
        for end, kind in _WITH_SVD
    },
}
"""By their names in CombineSpec."""


@dataclass(frozen=True)
class Factors:
    """The change of one layer by one adapter: `scale`·B·A."""

    a: Tensor  # [rank, in]
    b: Tensor  # [out, rank]
    scale: float
    weight: float
    is_transposed: bool = False
    """The weight is stored as [in, out] (embeddings, GPT-2's Conv1D): PEFT prunes the change in that layout."""


@dataclass(frozen=True)
class Settings:
    """How the method works."""

    method: Method
    density: float
    majority_sign: str
    rank: int
    """Of the result of an svd method; 0: the highest of the adapters."""


def combine(changes: Sequence[Factors], settings: Settings) -> tuple[Tensor, Tensor]:
    """A [rank, in] and B [out, rank] of the combined change, float32, of scale 1; the rank may be below the setting's.

    Random methods draw from torch's generator.
    """
    match settings.method.kind:
        case "sum":
            return _reduced(changes)
        case "stack":
            return (
                torch.cat([change.a * change.weight * change.scale for change in changes]),
                torch.cat([change.b for change in changes], dim=1),
            )
        case "factors":
            scaled = [change.weight * change.scale for change in changes]
            roots = [math.sqrt(abs(value)) for value in scaled]
            signed = [math.copysign(root, value) if value else root for root, value in zip(roots, scaled, strict=True)]
            a = _arithmetic([change.a for change in changes], torch.tensor(signed), settings)
            return a, _arithmetic([change.b for change in changes], torch.tensor(roots), settings)
        case "svd":
            weights = torch.tensor([change.weight for change in changes])
            delta = _arithmetic([_delta(change) for change in changes], weights, settings)
            delta = delta.T if changes[0].is_transposed else delta
            u, s, vh = torch.linalg.svd(delta, full_matrices=False)
            kept = settings.rank
            return vh[:kept], u[:, :kept] @ torch.diag(s[:kept])


def exact_rank(changes: Sequence[Factors]) -> int:
    """The rank of the weighted sum of the changes."""
    _, _, core = _bases(changes)
    return _rank(torch.linalg.svdvals(core))


def _delta(change: Factors) -> Tensor:
    delta = change.b @ change.a
    return (delta.T if change.is_transposed else delta) * change.scale


def _arithmetic(tensors: list[Tensor], weights: Tensor, settings: Settings) -> Tensor:
    from peft.utils import merge_utils

    function: Callable[..., Tensor] = getattr(merge_utils, settings.method.function)
    given: list[Any] = [] if settings.method.function == "task_arithmetic" else [settings.density]
    given += [settings.majority_sign] if "ties" in settings.method.function else []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The density .* no pruning")  # density: 1
        return function(tensors, weights, *given)


def _bases(changes: Sequence[Factors]) -> tuple[Tensor, Tensor, Tensor]:
    """Orthonormal bases of rows and columns of the weighted sum, and the sum in these, float64."""
    a = torch.cat([change.a.double() for change in changes])  # [ranks, in]
    b = torch.cat([change.b.double() * (change.weight * change.scale) for change in changes], dim=1)  # [out, ranks]
    rows, r_of_a = torch.linalg.qr(a.T)
    columns, r_of_b = torch.linalg.qr(b)
    return columns, rows, r_of_b @ r_of_a.T


def _rank(values: Tensor) -> int:
    return max(1, int((values > values[0] * _NEGLIGIBLE).sum()))


def _reduced(changes: Sequence[Factors]) -> tuple[Tensor, Tensor]:
    """The weighted sum at its own rank, computed in float64."""
    columns, rows, core = _bases(changes)
    u, s, vh = torch.linalg.svd(core)
    kept = _rank(s)
    roots = s[:kept].sqrt()
    return (roots[:, None] * (vh[:kept] @ rows.T)).float(), (columns @ u[:, :kept] * roots).float()
