"""Compares a combined adapter, as it is read from its file, with the adapters that it was made of.

    deviation    ‖D - Σ w_i·D_i‖ / Σ |w_i|·‖D_i‖    0 for the weighted sum; rounding in float32 makes about 1e-7
    kept         ⟨D, D_i⟩ / ‖D_i‖²                  the part of adapter i's change that is in the result
    cosine       ⟨D, D_i⟩ / ‖D‖·‖D_i‖

A product of low-rank changes needs no whole change: ⟨B·A, B'·A'⟩ = Σ (BᵀB')·(AA'ᵀ), here in float64.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from burnish.models.adapters.changes import LowRank, changes_of
from burnish.models.combining.layers import Layer, Weighted, matrices
from burnish.models.layout import skeleton_of
from burnish.models.load import read_config

LARGEST_DEVIATION = 1e-6


@dataclass
class Products:
    """Inner products of the result (first) and of every adapter's change, summed over weights; zeros where absent."""

    gram: Tensor  # [1 + adapters, 1 + adapters]
    weights: Tensor  # [adapters]

    @property
    def deviation(self) -> float:
        """From the weighted sum, relative to the size of its terms."""
        difference = torch.cat([torch.ones(1, dtype=torch.float64), -self.weights])
        size = float((self.weights.abs() * self.gram.diagonal()[1:].clamp(min=0).sqrt()).sum())
        distance = float((difference @ self.gram @ difference).clamp(min=0).sqrt())
        return distance / size if size else distance

    @property
    def kept(self) -> list[float]:
        """Of every adapter's change; 0 where it has none."""
        norms = self.gram.diagonal()[1:]
        return torch.where(norms > 0, self.gram[0, 1:] / norms, 0.0).tolist()

    @property
    def cosine(self) -> list[float]:
        """Of the result with every adapter's change; 0 where one is 0."""
        sizes = (self.gram.diagonal()[1:] * self.gram[0, 0]).sqrt()
        return torch.where(sizes > 0, self.gram[0, 1:] / sizes, 0.0).tolist()

    @property
    def norm(self) -> float:
        return float(self.gram[0, 0].clamp(min=0).sqrt())


@dataclass
class Compared:
    """The comparison of every layer, and of the whole adapter."""

    layers: dict[str, Products] = field(default_factory=dict[str, Products])

    @property
    def total(self) -> Products:
        products = list(self.layers.values())
        return Products(torch.stack([each.gram for each in products]).sum(0), products[0].weights)

    @property
    def worst(self) -> tuple[str, float]:
        """The layer with the largest deviation from the weighted sum, and that deviation."""
        return max(((name, each.deviation) for name, each in self.layers.items()), key=lambda found: found[1])


def compare(out: Path, adapters: Sequence[Weighted], layers: Sequence[Layer], base: Path) -> Compared:
    """Compare the adapter in the folder `out` with its parts, layer by layer; it is read as any tool reads it.

    Errors: those of `changes_of`.
    """
    written = changes_of(out, skeleton_of(base, read_config(base)))
    weights = torch.tensor([adapter.weight for adapter in adapters], dtype=torch.float64)
    compared = Compared()
    for layer in layers:
        found = written[layer.name]
        if not isinstance(found, LowRank):
            raise TypeError(f"{layer.name} is no low-rank change")
        gram = torch.zeros(1 + len(adapters), 1 + len(adapters), dtype=torch.float64)
        for expert in layer.experts:
            parts: dict[int, tuple[Tensor, Tensor]] = {0: _scaled(found, expert)}
            parts |= {
                number: _scaled(change, expert) for number, change in enumerate(layer.changes, 1) if change is not None
            }
            for one, (a, b) in parts.items():
                for other, (other_a, other_b) in parts.items():
                    if one <= other:
                        product = ((b.T @ other_b) * (a @ other_a.T)).sum()
                        gram[one, other] += product
                        gram[other, one] = gram[one, other]
        compared.layers[layer.name] = Products(gram, weights)
    return compared


def _scaled(change: LowRank, expert: int | None) -> tuple[Tensor, Tensor]:
    a, b = matrices(change, expert)
    return a.double(), b.double() * change.scale
