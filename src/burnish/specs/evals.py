"""Settings of `evaluate`: scorers, generation, and comparison with another model."""

import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from burnish.specs.base import DataRef, Device, ModelRef, PrintedDate, Spec, Threads
from burnish.specs.languages import Language
from burnish.specs.tokens import TrainOn


def compiled(pattern: str, flags: int = 0) -> re.Pattern[str]:
    """A regular expression of a setting; ValueError if it is invalid."""
    try:
        return re.compile(pattern, flags)
    except re.error as error:
        raise ValueError(f"invalid regular expression: {error}") from None


class GenerationSpec(Spec):
    """How answers are generated."""

    max_new_tokens: int = Field(default=256, ge=1)
    """Maximum length of an answer."""
    temperature: float = Field(default=0.0, ge=0.0)
    """0 always selects the most likely token."""
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    """Sample from the most likely tokens with this total probability."""
    top_k: int | None = Field(default=None, ge=1)
    """Sample from this many most likely tokens."""
    seed: int = 0
    """Random seed of sampling."""
    batch_size: int = Field(default=64, ge=1)
    """Number of prompts answered at once."""


class ExactMatchSpec(Spec):
    """1 if the answer equals the reference."""

    kind: Literal["exact_match"] = "exact_match"
    ignore_case: bool = False
    """Ignore case."""
    strip: bool = True
    """Strip whitespace from both."""


class ContainsSpec(Spec):
    """1 if the answer contains the reference (or `text`)."""

    kind: Literal["contains"] = "contains"
    text: str | None = None
    """Search for this text instead of the reference."""
    ignore_case: bool = True
    """Ignore case."""


class RegexSpec(Spec):
    """1 if the pattern is found; with a group, 1 if the group equals the one found in the reference."""

    kind: Literal["regex"] = "regex"
    pattern: str
    """A Python regular expression; the first match is used."""

    @field_validator("pattern")
    @classmethod
    def pattern_compiles(cls, value: str) -> str:
        compiled(value)
        return value


class NumberSpec(Spec):
    """1 if the last number in the answer equals the last number in the reference (as for GSM8K)."""

    kind: Literal["number"] = "number"
    tolerance: float = Field(default=0.0, ge=0.0)
    """Maximum relative difference."""


class JsonSpec(Spec):
    """1 if both parse as JSON and are equal, in any key order."""

    kind: Literal["json"] = "json"


class ToolCallSpec(Spec):
    """1 if the same tools are called with equal arguments.

    Rows with tools and a reference without a call are scored separately, as `no_call`: 1 if the answer has no call.
    """

    kind: Literal["tool_call"] = "tool_call"
    order: bool = True
    """Whether the order of several calls matters."""


class RougeSpec(Spec):
    """ROUGE F1 (Lin 2004), unstemmed."""

    kind: Literal["rouge"] = "rouge"
    variant: Literal["rouge1", "rouge2", "rougeL"] = "rougeL"
    """The ROUGE variant."""


class ChrfSpec(Spec):
    """chrF, 0 to 1 (sacrebleu)."""

    kind: Literal["chrf"] = "chrf"


class LanguageScoreSpec(Spec):
    """1 if the answer is in the language of the reference, or in `expected`."""

    kind: Literal["language"] = "language"
    expected: Language | None = None
    """An ISO 639-1 code."""


class CustomScorerSpec(Spec):
    """A scorer from another package, registered in the entry-point group `burnish.scorers`."""

    kind: Literal["custom"] = "custom"
    name: str
    """The name it is registered under."""
    settings: dict[str, Any] = {}
    """Arguments of the scorer."""


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

    Both models are scored on the same rows of one split.
    """

    model: ModelRef
    """The model or adapter to score."""
    data: DataRef
    """A prepared dataset, or a file."""
    split: str = "test"
    """The split of a prepared dataset. Do not set it for a file, which is used as a whole."""
    compare_with: ModelRef | Literal["base"] | None = None
    """Another model, or `base`: the adapter's base model."""
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
