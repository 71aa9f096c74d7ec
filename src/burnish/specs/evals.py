"""How a model is scored: scorers, generation settings, and the comparison with another model."""

import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from burnish.specs.base import DataRef, Device, ModelRef, PrintedDate, Spec, Threads
from burnish.specs.tokens import TrainOn


class GenerationSpec(Spec):
    """How answers are generated."""

    max_new_tokens: int = Field(default=256, ge=1)
    """The longest answer."""
    temperature: float = Field(default=0.0, ge=0.0)
    """0 always takes the likeliest token."""
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    """Sample from the likeliest tokens that hold this share."""
    top_k: int | None = Field(default=None, ge=1)
    """Sample from this many likeliest tokens."""
    seed: int = 0
    """Of sampling."""
    batch_size: int = Field(default=64, ge=1)
    """Prompts answered at once."""


class ExactMatchSpec(Spec):
    """1 when the answer equals the reference."""

    kind: Literal["exact_match"] = "exact_match"
    ignore_case: bool = False
    """Fold case before comparing."""
    strip: bool = True
    """Drop white space around both."""


class ContainsSpec(Spec):
    """1 when the reference (or `text`) stands in the answer."""

    kind: Literal["contains"] = "contains"
    text: str | None = None
    """Look for this in place of the reference."""
    ignore_case: bool = True
    """Fold case before looking."""


class RegexSpec(Spec):
    """1 when the pattern is found; with a group, 1 when the group equals the reference's."""

    kind: Literal["regex"] = "regex"
    pattern: str
    """A Python regular expression; its first match counts."""

    @field_validator("pattern")
    @classmethod
    def pattern_compiles(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"no Python regular expression: {error}") from None
        return value


class NumberSpec(Spec):
    """1 when the last number of the answer equals the last number of the reference (GSM8K's rule)."""

    kind: Literal["number"] = "number"
    tolerance: float = Field(default=0.0, ge=0.0)
    """The largest relative difference."""


class JsonSpec(Spec):
    """1 when both parse as JSON and are equal, whatever the order of keys."""

    kind: Literal["json"] = "json"


class ToolCallSpec(Spec):
    """1 when the same tools are called with equal arguments.

    Rows that offer tools and answer without a call are scored apart, as `no_call`: 1 when the answer calls none.
    """

    kind: Literal["tool_call"] = "tool_call"
    order: bool = True
    """The order of several calls counts."""


class RougeSpec(Spec):
    """ROUGE F1 (Lin 2004), unstemmed."""

    kind: Literal["rouge"] = "rouge"
    variant: Literal["rouge1", "rouge2", "rougeL"] = "rougeL"
    """Which one."""


class ChrfSpec(Spec):
    """chrF, 0 to 1 (sacrebleu)."""

    kind: Literal["chrf"] = "chrf"


class LanguageScoreSpec(Spec):
    """1 when the answer is in the language of the reference, or in `expected`."""

    kind: Literal["language"] = "language"
    expected: str | None = None
    """An ISO 639-1 code."""


class CustomScorerSpec(Spec):
    """A scorer of another package, registered in the entry-point group `burnish.scorers`."""

    kind: Literal["custom"] = "custom"
    name: str
    """The name it is registered under."""
    settings: dict[str, Any] = {}
    """What it is given when it is built."""


Scorer = Annotated[
    ExactMatchSpec
    | ContainsSpec
    | RegexSpec
    | NumberSpec
    | JsonSpec
    | ToolCallSpec
    | RougeSpec
    | ChrfSpec
    | LanguageScoreSpec
    | CustomScorerSpec,
    Field(discriminator="kind"),
]


class EvaluateSpec(Spec):
    """Score a model on rows, alone or against another model.

    Both models get the same rows of one split.
    """

    model: ModelRef
    """The model or adapter to score."""
    data: DataRef
    """A prepared dataset, or a file."""
    split: str = "test"
    """Which split of a prepared dataset; not to be said for a file, all of which is used."""
    compare_with: ModelRef | Literal["base"] | None = None
    """Another model, or `base`: the model that an adapter stands on."""
    scorers: list[Scorer] = [ExactMatchSpec()]
    """How generated answers are scored; an empty list generates nothing."""
    perplexity: bool = True
    """Also measure perplexity and bits per byte of the learned tokens."""
    train_on: TrainOn = "assistant"
    """Which tokens perplexity is measured on: every assistant turn, only the last one, or all tokens."""
    generation: GenerationSpec = GenerationSpec()
    """How answers are generated."""
    max_rows: int | None = Field(default=None, ge=1)
    """Score the first rows only."""
    date: PrintedDate = "auto"
    """The date that the chat template prints, YYYY-MM-DD. `auto`: the date that the model was trained with, else that
    of an earlier run of the same step, else today; part of the step's identity where the template prints a date."""
    max_length: int = Field(default=4096, ge=8)
    """Conversations of more tokens than this, or than the model's context, are left out of perplexity, and counted;
    texts are read in pieces of that length."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1.0)
    """Of the intervals."""
    seed: int = 0
    """Of the bootstrap."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Of the weights; `auto` is float32 on a CPU and that of the files elsewhere."""
    device: Device = "auto"
    """Where to run."""
    threads: Threads = "auto"
    """CPU threads."""
