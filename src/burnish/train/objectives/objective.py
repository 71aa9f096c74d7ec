"""What the training loop is given to minimise: the loss of a micro-batch, its parts by row, and its metrics.

The divisor of a step is known before its first micro-batch, and whatever the loss needs of the whole step is measured
before, by `survey`. So the losses and the metrics of micro-batches add up to those of the step, and neither they nor
the gradient depend on how the step is split.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from burnish.tokens.tokenised import Indices, TokenisedRows
from burnish.train.batches import Batch
from burnish.train.forward import Forward


@dataclass(frozen=True)
class Scored:
    """A micro-batch's part of the step's loss and metrics, and the values of each of its rows for the row ledger."""

    loss: Tensor  # scalar, differentiable
    row_losses: Tensor  # [R] float32; the step's loss is their mean, weighted by `row_weights`
    metrics: Tensor  # [M] float32, named by `Objective.metrics`
    row_values: Tensor  # [N, R] float32, named by `Objective.row_values`


@dataclass(frozen=True)
class Whole:
    """What is known of a step before its first micro-batch, or of all held-out rows."""

    divisor: float
    """Σ `row_weights`."""
    learned: tuple[int, ...]
    """Learned tokens of the first, the second … sequence of the rows, [width]."""
    totals: Mapping[str, float] = field(default_factory=dict)
    """The sum of each value of the rows that is one number for each row, such as `label`."""
    surveyed: Tensor | None = None
    """The sum of what `Objective.survey` returned."""


class Objective(Protocol):
    """One file for each objective; none of them knows of steps, checkpoints or devices."""

    @property
    def per(self) -> str:
        """What the loss is a mean over: `learned token`, `pair`."""
        ...

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of the metrics of a step, without its loss."""
        ...

    @property
    def row_values(self) -> tuple[str, ...]:
        """The names of the numbers of a row that the row ledger keeps beside its loss."""
        ...

    @property
    def surveys(self) -> bool:
        """True if the loss of a row depends on other rows of its step, through `survey`."""
        ...

    def row_weights(self, data: TokenisedRows, rows: Indices) -> NDArray[np.float64]:
        """The weight of each of these rows in the loss of a step [R]; their sum is the step's divisor."""
        ...

    def survey_rows(self, data: TokenisedRows, rows: Indices) -> tuple[TokenisedRows, Indices]:
        """What `survey` reads for a step on these rows: indices into tokenised rows, which may be made of several."""
        ...

    def survey(self, forward: Forward, batch: Batch) -> Tensor:
        """A batch's part of what the loss needs of the whole step, in eval mode without a gradient; parts are added."""
        ...

    def score(self, forward: Forward, batch: Batch, whole: Whole) -> Scored:
        """Score one micro-batch of a step."""
        ...


def no_metrics(like: Tensor) -> Tensor:
    """[0], on the device of `like`."""
    return like.new_zeros(0, dtype=torch.float32)


def no_row_values(like: Tensor, rows: int) -> Tensor:
    """[0, R], on the device of `like`."""
    return like.new_zeros(0, rows, dtype=torch.float32)


def shares(values: Sequence[Tensor], divisor: float) -> Tensor:
    """Means over a step of values of rows or pairs [R] each: a micro-batch's part of the metrics [M]."""
    return torch.stack([value.detach().float().sum() / divisor for value in values])


class Separable:
    """The part shared by objectives in which every row counts 1, and the loss of a row depends on no other row."""

    per = "row"
    metrics: tuple[str, ...] = ()
    row_values: tuple[str, ...] = ()
    surveys = False

    def row_weights(self, data: TokenisedRows, rows: Indices) -> NDArray[np.float64]:
        return np.ones(len(rows))

    def survey_rows(self, data: TokenisedRows, rows: Indices) -> tuple[TokenisedRows, Indices]:
        return data, rows

    def survey(self, forward: Forward, batch: Batch) -> Tensor:
        raise NotImplementedError
