"""The smallest difference that a comparison can detect, from its rows before the run, and then from the variance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from burnish.evals.comparison.claims import Claim
from burnish.evals.statistics.clusters import Labels, effective_rows
from burnish.evals.statistics.paired import Comparison
from burnish.evals.statistics.power import Design

EFFECTS = (0.05, 0.02, 0.01)


@dataclass(frozen=True)
class Assumed:
    """What is assumed before the run."""

    rows: int
    comparisons: int
    confidence: float
    power: float
    discordance: float
    detect: float | None
    labels: Labels | None

    @property
    def design(self) -> Design:
        """With Holm's correction at its strictest, and the rows of a cluster as equal."""
        rows = float(self.rows) if self.labels is None else effective_rows(self.labels)
        return Design(rows, (1 - self.confidence) / max(1, self.comparisons), self.power, self.discordance)

    def as_dict(self) -> dict[str, Any]:
        """`effect` is None if no difference can be found."""
        design = self.design
        needed = {f"{effect:g}": design.rows_for(effect) for effect in self._effects}
        return {
            "rows": self.rows,
            "effective_rows": design.rows,
            "comparisons": self.comparisons,
            "power": self.power,
            "confidence": self.confidence,
            "discordance": self.discordance,
            "effect": design.detectable(),
            "margin": design.shown_margin(),
            "rows_needed": needed,
        }

    @property
    def _effects(self) -> tuple[float, ...]:
        return EFFECTS if self.detect is None else (self.detect,)

    def sentences(self) -> list[str]:
        """For the terminal and the report."""
        found = self.as_dict()
        rows = f"{self.rows:,} rows"
        if self.labels is not None:
            rows = f"{rows} in {len(set(self.labels.tolist())):,} clusters (as {found['effective_rows']:.0f})"
        if found["effect"] is None:
            seen = f"with {rows} no difference can be detected at {self.power:.0%} power"
        else:
            seen = f"with {rows} you can detect a difference of {found['effect']:.3f} at {self.power:.0%} power"
        times = f", {self.comparisons} comparisons" if self.comparisons > 1 else ""
        assumed = f"assumed: two candidates differ on {self.discordance:.0%} of the rows{times}"
        needed = ", ".join(
            f"{effect} needs {'more rows than it can have' if count is None else f'{count:,} rows'}"
            for effect, count in found["rows_needed"].items()
        )
        return [f"{seen} ({assumed})", f"a difference of {needed}"]


def measured_effect(found: Comparison, confidence: float, power: float, comparisons: int) -> float | None:
    """The minimum detectable difference of a finished comparison, from its measured standard error."""
    n = found.n if found.clusters is None else found.clusters
    variance = found.standard_error**2 * n
    design = Design(n, (1 - confidence) / max(1, comparisons), power, variance, is_binary=False)
    return design.detectable() if variance > 0 else None


def measured_effects(
    found: Mapping[Claim, Comparison], claims: Sequence[Claim], confidence: float, power: float
) -> list[float | None]:
    """For each claim, in order."""
    return [measured_effect(found[claim], confidence, power, len(claims)) for claim in claims]
