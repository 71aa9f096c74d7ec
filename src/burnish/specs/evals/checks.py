"""Settings of checks: prompts, and what the answer to each must be like."""

import warnings
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StrictBool, field_validator, model_validator

from burnish.specs.base import Listed, Spec, Takes, is_a_reference
from burnish.specs.evals.scorers import compiled
from burnish.specs.languages import Language

_Text = Annotated[str, Field(min_length=1)]

with warnings.catch_warnings():  # pydantic's own `json` is deprecated, and not used here
    warnings.filterwarnings("ignore", message='Field name "json"', category=UserWarning)

    class AnswerChecksSpec(Spec):
        """What an answer must be like. All checks that are set must pass; an empty answer passes none.

        Reasoning (`<think>…</think>`) is not part of the answer.
        """

        contains: list[_Text] | None = Field(default=None, min_length=1)
        """The answer has all of these texts; case is ignored."""
        not_contains: list[_Text] | None = Field(default=None, min_length=1)
        """The answer has none of these texts; case is ignored."""
        any_of: list[_Text] | None = Field(default=None, min_length=1)
        """The answer has one or more of these texts; case is ignored."""
        regex: list[_Text] | None = Field(default=None, min_length=1)
        """All of these Python regular expressions are found in the answer."""
        not_regex: list[_Text] | None = Field(default=None, min_length=1)
        """None of these Python regular expressions is found in the answer."""
        equals: _Text | None = None
        """The answer is this text; white space around it is ignored."""
        language: Language | None = None
        """The language of the answer by py3langid, as ISO 639-1 code. Unreliable for answers of a few words."""
        refusal: StrictBool | None = None
        """Whether the answer refuses, by the patterns of burnish for English and Chinese; other languages are not
        recognised, and a refusal in unusual words is not."""
        json: Literal[True] | None = None  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType]
        """The answer is valid JSON; a code fence around it is allowed, other text is not."""
        max_words: int | None = Field(default=None, ge=1)
        """The answer has at most this many words; in scripts without spaces each character is a word."""
        min_words: int | None = Field(default=None, ge=1)
        """The answer has at least this many words."""
        max_repetition: float | None = Field(default=None, ge=0.0, lt=1.0)
        """At most this share of the answer's 4-grams of words occurred before in it."""

        @field_validator("regex", "not_regex")
        @classmethod
        def patterns_compile(cls, value: list[str] | None) -> list[str] | None:
            for pattern in value or ():
                compiled(pattern)
            return value

        @model_validator(mode="after")
        def is_possible(self) -> "AnswerChecksSpec":
            values = self.__dict__
            if not self.given():
                raise ValueError(f"no check is set: write one of {', '.join(type(self).__pydantic_fields__)}")
            low, high = values["min_words"], values["max_words"]
            if low is not None and high is not None and low > high:
                raise ValueError(f"min_words: {low} is more than max_words: {high}")
            return self

        def given(self) -> dict[str, Any]:
            """The checks that are set, by kind."""
            names = type(self).__pydantic_fields__
            return {name: self.__dict__[name] for name in names if self.__dict__[name] is not None}


class CheckedPromptSpec(Spec):
    """A prompt, and the checks of its answer."""

    prompt: _Text | None = None
    """The turn of the user."""
    system: _Text | None = None
    """The system turn before `prompt`."""
    messages: list[dict[str, Any]] | None = Field(default=None, min_length=1)
    """The turns up to the answer, with role and content, in place of `prompt`."""
    tools: list[dict[str, Any]] | None = Field(default=None, min_length=1)
    """The tools that the model is offered, as JSON schemas."""
    tag: _Text | None = None
    """A group of prompts: scores are also reported by tag."""
    id: _Text | None = None
    """By default a hash of the prompt. `compare` pairs rows by it."""
    checks: AnswerChecksSpec
    """What the answer must be like."""

    @model_validator(mode="after")
    def has_one_prompt(self) -> "CheckedPromptSpec":
        values = self.__dict__
        if (values["prompt"] is None) == (values["messages"] is None):
            raise ValueError("write either prompt or messages")
        if values["system"] is not None and values["messages"] is not None:
            raise ValueError("system belongs to prompt: write it as the first of the messages")
        return self


class ChecksSpec(Spec):
    """The content of a file of checks."""

    prompts: list[CheckedPromptSpec] = Field(min_length=1)
    """The prompts with their checks."""


PROMPTS = Listed(
    ChecksSpec,
    "prompts",
    "a file of checks is a list of prompts",
    "- {prompt: What is 2 + 2?, checks: {contains: '4'}}",
)
ChecksRef = Annotated[str, Takes(("file",)), PROMPTS, AfterValidator(is_a_reference)]
