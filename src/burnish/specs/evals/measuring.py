"""Settings that `evaluate` and `compare` share: the rows, how a model answers them, and how it is scored."""

from typing import Literal

from pydantic import Field

from burnish.specs.base import DataRef, Device, PrintedDate, Spec, Threads
from burnish.specs.evals.clusters import ClusterColumn
from burnish.specs.evals.generation import GenerationSpec
from burnish.specs.evals.scorers import ExactMatchSpec, Scorer
from burnish.specs.tokens import TrainOn


class MeasuringSpec(Spec):
    """How models are measured on rows."""

    data: DataRef
    """A prepared dataset, or a file."""
    split: str = "test"
    """The split of a prepared dataset. Do not set it for a file, which is used as a whole."""
    scorers: list[Scorer] = [ExactMatchSpec()]
    """Scorers of generated answers; with an empty list nothing is generated."""
    perplexity: bool = True
    """Also measure perplexity and bits per byte of the learned tokens."""
    train_on: TrainOn = "assistant"
    """Which tokens perplexity is measured on: every assistant turn, only the last one, or all tokens."""
    generation: GenerationSpec = GenerationSpec()
    """How answers are generated."""
    max_rows: int | None = Field(default=None, ge=1)
    """Score the first rows only."""
    date: PrintedDate = "auto"
    """The date that the chat template prints, YYYY-MM-DD. `auto`: the date used in the model's training, else in an
    earlier run of the same step, else today. Part of the fingerprint if the template prints a date."""
    max_length: int = Field(default=4096, ge=8)
    """Conversations longer than this, or than the model's context, are excluded from perplexity and counted;
    texts are split into chunks of this length."""
    cluster: ClusterColumn = None
    confidence: float = Field(default=0.95, gt=0.5, lt=1.0)
    """Confidence level of the intervals."""
    seed: int = 0
    """Random seed of the bootstrap."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """The dtype of the weights; `auto` is float32 on a CPU, else that of the files."""
    device: Device = "auto"
    """The device to run on."""
    threads: Threads = "auto"
    """Number of CPU threads."""
