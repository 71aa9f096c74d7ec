"""What may be asked of a finished model: merge its adapter, generate with it."""

from typing import Literal

from pydantic import Field

from burnish.specs.base import DataRef, Device, ModelRef, PrintedDate, Spec, Threads
from burnish.specs.evals import GenerationSpec


class MergeSpec(Spec):
    """Merge an adapter into its base, shard by shard."""

    model: ModelRef
    """The adapter."""
    base: ModelRef | None = None
    """The base to fold into, when the adapter does not say."""
    other_base: bool = False
    """Fold into a base with other weights than those the adapter was trained on."""
    dtype: Literal["keep", "float32", "bfloat16", "float16"] = "keep"
    """Of the merged weights; `keep` is the base's."""
    max_shard_bytes: int = Field(default=4_000_000_000, ge=1_000)
    """The largest size of one weights file, in bytes."""


class GenerateSpec(Spec):
    """Write an answer beside every prompt of a file or dataset."""

    model: ModelRef
    """The model or adapter that answers."""
    data: DataRef
    """Prompts: rows of any known format; an answer that ends a row is left out."""
    split: str = "test"
    """Which split, when data is a prepared dataset."""
    compare_with: ModelRef | None = None
    """A second model that answers the same prompts, side by side."""
    generation: GenerationSpec = GenerationSpec()
    """How answers are generated."""
    max_rows: int | None = Field(default=None, ge=1)
    """Answer the first rows only."""
    date: PrintedDate = "auto"
    """The date that the chat template prints, YYYY-MM-DD. `auto`: the date that the model was trained with, else that
    of an earlier run of the same step, else today; part of the step's identity where the template prints a date."""
    device: Device = "auto"
    """Where to run."""
    threads: Threads = "auto"
    """CPU threads."""
