"""Where the rows of a run come from: given rows, or rollouts of the model in training; and what it is measured on."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from burnish.tokens.tokenised import TokenisedRows
from burnish.train.batches import FixedRows, Material, StepPlan, Visits
from burnish.train.objectives.objective import Objective
from burnish.train.passes import ForwardPasses, Passes
from burnish.train.ready import longest


class HeldOut(Protocol):
    """What a run is measured on."""

    measure: str
    """The name of the value that is compared: `loss` or `reward`."""
    higher_is_better: bool
    before_training: bool
    """True if the untrained model is measured, too."""

    def evaluate(self, step: int) -> dict[str, float]:
        """The values after a step by name; `measure` is the first. Errors: those of `ForwardPasses.each`."""
        ...


@dataclass(frozen=True)
class HeldOutRows:
    """The objective's loss and metrics on validation rows, as of one step over all of them."""

    passes: Passes
    rows: TokenisedRows
    measure = "loss"
    higher_is_better = False
    before_training = False

    def evaluate(self, step: int) -> dict[str, float]:
        loss, *metrics = self.passes.evaluate(self.rows)
        return {self.measure: loss} | named_metrics(self.passes.objective, metrics)


def named_metrics(objective: Objective, metrics: Sequence[float]) -> dict[str, float]:
    """The objective's metrics by name; without those that are NaN: means over no rows."""
    named = zip(objective.metrics, metrics, strict=True)
    return {name: value for name, value in named if not math.isnan(value)}


Complete = Callable[[ForwardPasses, TokenisedRows, str, Visits], TokenisedRows]
"""Called with the passes of the untrained model, the rows of a split, its name, and what the run reads of it, of which
`visits.used` is computed."""


def as_they_are(passes: ForwardPasses, rows: TokenisedRows, split: str, visits: Visits) -> TokenisedRows:
    """The rows of an objective that needs nothing else."""
    return rows


class Source(Protocol):
    """What makes the rows of the steps from those of the dataset."""

    @property
    def width(self) -> int:
        """Sequences of a row of a step."""
        ...

    @property
    def longest(self) -> int:
        """The most tokens of a sequence."""
        ...

    def plan(self, **settings: Any) -> StepPlan:
        """The order of the rows; the settings are those of `StepPlan`."""
        ...

    def open(
        self, passes: Passes, plan: StepPlan, visits: Visits, only_proves: bool = False
    ) -> tuple[Material, HeldOut | None]:
        """What the steps are made of, and what the run is measured on; nothing if it `only_proves`."""
        ...

    def publish(self, folder: Path, steps: int) -> None:
        """Write what the artifact keeps of the rows of a run of so many steps."""
        ...


class GivenRows:
    """The rows of the dataset; `complete` adds what the objective needs of the untrained model."""

    def __init__(self, rows: TokenisedRows, held_out: TokenisedRows | None, complete: Complete = as_they_are):
        self._rows, self._held_out, self._complete = rows, held_out, complete

    @property
    def width(self) -> int:
        return self._rows.width

    @property
    def longest(self) -> int:
        return longest(self._rows, self._held_out)

    def plan(self, **settings: Any) -> StepPlan:
        return StepPlan(self._rows.lengths, **settings)

    def open(
        self, passes: Passes, plan: StepPlan, visits: Visits, only_proves: bool = False
    ) -> tuple[Material, HeldOut | None]:
        rows = self._complete(passes, self._rows, "train", visits)
        if self._held_out is None or only_proves:
            return FixedRows(rows, plan), None
        held_out = self._complete(passes, self._held_out, "validation", Visits.once(len(self._held_out)))
        return FixedRows(rows, plan), HeldOutRows(passes, held_out)

    def publish(self, folder: Path, steps: int) -> None:
        """Nothing: the row ledger has them."""
