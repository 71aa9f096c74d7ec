"""What each source of a mixture gives: its share, the rows drawn of it, and how often they are repeated."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.core.errors import DataError
from burnish.data.mixture.pool import Ordinals, Pool, Unit
from burnish.data.mixture.shares import budgets, largest_budgets, shares_of

MAX_EPOCHS = 4
"""Tokens repeated up to four times train almost as well as new ones (Muennighoff et al. 2023,
https://arxiv.org/abs/2305.16264)."""


@dataclass
class Drawn:
    """One source: what was requested of it, the rows it has, the rows drawn, and rounds of training rows on top."""

    name: str
    weight: float
    share: Fraction
    asked: int
    available: Ordinals
    drawn: Ordinals
    rounds: list[Ordinals] = field(default_factory=list)

    def taken(self, pool: Pool, unit: Unit) -> int:
        """How many rows or tokens it gives, repeated ones included."""
        return pool.size(self.drawn, unit) + self.repeated(pool, unit)

    def repeated(self, pool: Pool, unit: Unit) -> int:
        return sum(pool.size(again, unit) for again in self.rounds)


def draw(
    pool: Pool,
    names: Sequence[str],
    weights: Sequence[float],
    unit: Unit,
    budget: int | None,
    temperature: float | None = None,
) -> list[Drawn]:
    """The rows of every source, each at most once. Without a budget: as many as the shares allow.

    DataError `data.empty` where a source without rows then leaves nothing of the others.
    """
    available = [pool.of_source(part) for part in range(len(names))]
    sizes = [pool.size(ordinals, unit) for ordinals in available]
    shares = shares_of(weights, sizes, temperature)
    asked = largest_budgets(sizes, shares) if budget is None else budgets(budget, shares)
    if budget is None and any(sizes) and not any(asked):
        least = min(range(len(sizes)), key=lambda place: sizes[place])
        what = f"{names[least]} has {sizes[least]:,} {unit} left, too few for its share of any mixture"
        raise DataError("data.empty", what, "remove the source, loosen the filters, or set mixture.rows")
    return [
        Drawn(name, weight, share, most, ordinals, pool.first(ordinals, most, unit))
        for name, weight, share, most, ordinals in zip(names, weights, shares, asked, available, strict=True)
    ]


def repeat(pool: Pool, sources: Sequence[Drawn], unit: Unit, trained: NDArray[np.bool_], max_epochs: int) -> None:
    """Fill what sources lack by rounds of their training rows; `trained` says which rows of the pool those are."""
    for source in sources:
        lacking = source.asked - source.taken(pool, unit)
        if lacking > 0 and len(source.drawn) == len(source.available):
            again = source.drawn[trained[source.drawn]]
            source.rounds = pool.copies(again, lacking, unit, max_epochs - 1)


def as_dict(pool: Pool, sources: Sequence[Drawn], unit: Unit, counted: bool) -> dict[str, Any]:
    """The account of a mixture for stats.json: rows, and tokens where they were counted."""
    units: tuple[Unit, ...] = ("rows", "tokens") if counted else ("rows",)
    total = sum(source.taken(pool, unit) for source in sources)
    return {
        "unit": unit,
        "asked": sum(source.asked for source in sources),
        "taken": total,
        "sources": {
            source.name: {
                "weight": source.weight,
                "share": round(float(source.share), 6),
                "asked": source.asked,
                "available": {each: pool.size(source.available, each) for each in units},
                "taken": {each: source.taken(pool, each) for each in units},
                "repeated": {each: source.repeated(pool, each) for each in units},
                "taken_share": round(source.taken(pool, unit) / total, 6) if total else 0.0,
            }
            for source in sources
        },
    }


def shortfalls(pool: Pool, sources: Sequence[Drawn], unit: Unit, repeats: bool) -> list[str]:
    """Sources that give less than was requested, a sentence each, with what to do.

    Of tokens, what a single row more would exceed is no shortfall.
    """
    sentences = []
    for source in sources:
        taken = source.taken(pool, unit)
        rest = source.asked - taken
        if rest <= 0 or (unit == "tokens" and len(source.drawn) < len(source.available)):
            if rest > 0 and not len(source.drawn):
                sentences.append(f"{source.name} gives nothing: its first row is longer than its {rest:,} tokens")
            continue
        if unit == "tokens" and source.rounds and len(source.rounds[-1]) < len(source.rounds[0]):
            continue  # the next row is longer than the rest
        often = f"its training rows {len(source.rounds) + 1} times each" if source.rounds else "once each"
        fix = "raise mixture.max_epochs, give it more rows, or a smaller weight"
        if not repeats:
            fix = "set mixture.repeat: true, give it more rows, or a smaller weight"
        sentences.append(f"{source.name} gives {taken:,} of {source.asked:,} {unit}, all that it has, {often}: {fix}")
    return sentences
