"""Settings of stages that use a trained model: `merge` and `generate`."""

from typing import Literal

from pydantic import Field

from burnish.specs.base import DataRef, Device, ModelRef, PrintedDate, Spec, Threads
from burnish.specs.evals import GenerationSpec


class MergeSpec(Spec):
    """Merge an adapter into its base, shard by shard."""

    model: ModelRef
    """The adapter."""
    base: ModelRef | None = None
    """The base to merge into, if the adapter does not name it."""
    other_base: bool = False
    """Allow a base with other weights than those the adapter was trained on."""
    dtype: Literal["keep", "float32", "bfloat16", "float16"] = "keep"
    """The dtype of the merged weights; `keep` is the base's."""
    into: Literal["original", "dequantized"] = "original"
    """For an adapter of QLoRA: merge it into the base's weights as they are in its files, or into the values that they
    had in 4 bits during the training. How far the merged model is from the trained one is measured and reported."""
    max_shard_bytes: int = Field(default=4_000_000_000, ge=1_000)
    """Maximum size of one weights file, in bytes."""


class GenerateSpec(Spec):
    """Generate an answer to every prompt of a file or dataset."""

    model: ModelRef
    """The model or adapter that answers."""
    data: DataRef
    """Prompts: rows of any known format; a final answer is removed."""
    split: str = "test"
    """The split of a prepared dataset."""
    compare_with: ModelRef | None = None
    """A second model that answers the same prompts."""
    generation: GenerationSpec = GenerationSpec()
    """How answers are generated."""
    max_rows: int | None = Field(default=None, ge=1)
    """Answer the first rows only."""
    date: PrintedDate = "auto"
    """The date that the chat template prints, YYYY-MM-DD. `auto`: the date used in the model's training, else in an
    earlier run of the same step, else today. Part of the fingerprint if the template prints a date."""
    device: Device = "auto"
    """The device to run on."""
    threads: Threads = "auto"
    """Number of CPU threads."""
