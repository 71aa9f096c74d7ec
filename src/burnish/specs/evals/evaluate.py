"""Settings of `evaluate`: what is scored, on which rows, and against which other model."""

from typing import Literal

from burnish.specs.base import ModelRef
from burnish.specs.evals.measuring import MeasuringSpec


class EvaluateSpec(MeasuringSpec):
    """Score a model on rows, alone or against another model.

    Both models are scored on the same rows of one split.
    """

    model: ModelRef
    """The model or adapter to score."""
    compare_with: ModelRef | Literal["base"] | None = None
    """Another model, or `base`: the adapter's base model."""
