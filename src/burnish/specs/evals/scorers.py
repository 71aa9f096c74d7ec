"""Settings of the scorers of single answers."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from burnish.specs.base import Spec
from burnish.specs.languages import Language


def compiled(pattern: str, flags: int = 0) -> re.Pattern[str]:
    """A regular expression of a setting; ValueError if it is invalid."""
    try:
        return re.compile(pattern, flags)
    except re.error as error:
        raise ValueError(f"invalid regular expression: {error}") from None


def score_names(scorers: "Sequence[Scorer]") -> list[str] | None:
    """The names of the scores of scorers of answers; None if one is of another package, or of choices."""
    found, seen = list[str](), Counter[str]()
    for values in (scorer.__dict__ for scorer in scorers):
        kind: str = values["kind"]
        if kind in ("custom", "multiple_choice"):
            return None
        for name in [kind, "no_call"] if kind == "tool_call" else [values.get("variant", kind)]:
            seen[name] += 1
            found.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return found


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


class MultipleChoiceSpec(Spec):
    """1 if the most likely of a row's choices is the right one; nothing is generated.

    The score `multiple_choice_norm` divides log-probabilities by the bytes of the choices.
    """

    kind: Literal["multiple_choice"] = "multiple_choice"
    choices: str = "choices"
    """The column with the choices: a list of texts, an object of them by label, or {text: […], label: […]}."""
    answer: str | None = None
    """The column with the right choice: its label, its text, its letter or its index from 0, whichever fits the most
    rows. By default the last turn of the assistant."""
    letters: bool = False
    """Write the choices below the question, and compare the letters A, B, … as the next token, as in MMLU."""


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
    | MultipleChoiceSpec
    | CustomScorerSpec,
    Field(discriminator="kind"),
]
