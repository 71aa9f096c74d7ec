"""Settings of `evaluate`: what is scored, on which rows and tasks, and against which other model."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from burnish.specs.base import DataRef, RunnableRef, Spec, WithCheckpoints
from burnish.specs.evals.checks import ChecksRef
from burnish.specs.evals.measuring import MeasuringSpec
from burnish.specs.evals.tasks import TasksSpec


class MaskedSpec(Spec):
    """Which tokens of a text are masked, for an encoder such as BERT. A masked token becomes the mask token."""

    share: float = Field(default=0.15, gt=0.0, lt=1.0)
    """The share of the tokens that is masked, at least one for each text; special tokens are not masked."""
    each: bool = False
    """Mask each token alone, in a pass of its own: pseudo-perplexity, slower and without chance."""
    seed: int = 0
    """Random seed of the choice."""


class EvaluateSpec(MeasuringSpec):
    """Score a model on rows, alone or against another model.

    Both models are scored on the same rows of one split.
    """

    model: RunnableRef
    """The model, adapter or GGUF file to score."""
    compare_with: RunnableRef | Literal["base"] | None = None
    """Another model, or `base`: the adapter's base model."""
    data: DataRef | None = None  # pyright: ignore[reportIncompatibleVariableOverride]
    """A prepared dataset, or a file. Not needed with `tasks` or `checks`."""
    tasks: TasksSpec | None = None
    """Tasks of lm-evaluation-harness: names, or `file:` of YAML files and folders."""
    checks: ChecksRef | None = None
    """A YAML file of prompts and what their answers must be like, such as `file:checks.yaml`: contains, language,
    refusal, max_words … `docs/guides/evaluate.md` lists the checks."""
    checkpoints: Annotated[bool, WithCheckpoints()] = False
    """Measure every kept checkpoint of the training that made `model` too, on the same rows: scores by step. `model` is
    the artifact, or a checkpoint of an unfinished run. A finished run keeps them with `checkpoint: {archive: true}`."""
    masked: MaskedSpec = MaskedSpec()
    """For an encoder with a masked-language-model head: which tokens are masked."""

    @model_validator(mode="after")
    def measures_something(self) -> "EvaluateSpec":
        if all(self.__dict__[name] is None for name in ("data", "tasks", "checks")):
            raise ValueError("set data, tasks or checks")
        if self.__dict__["checkpoints"] and self.__dict__["data"] is None and self.__dict__["checks"] is None:
            raise ValueError("checkpoints are measured on rows and checks: set data or checks")
        if self.__dict__["checkpoints"] and self.__dict__["tasks"] is not None:
            raise ValueError("checkpoints are not measured on tasks: run the tasks in a step of their own")
        return self
