"""Settings of rendering (conversations to tokens) and of tokenizer training."""

import re
from typing import Literal

from pydantic import Field, field_validator, model_validator

from burnish.specs.base import DataRef, PrintedDate, Spec, TokenizerRef

OverLength = Literal["raise", "drop", "truncate_left", "split"]
TrainOn = Literal["assistant", "completion", "all"]
RewrittenTurns = Literal["separate", "mask", "as_shown"]


class RenderSpec(Spec):
    """How conversations are rendered, and which tokens are learned."""

    train_on: TrainOn = "assistant"
    """Which tokens are learned: every assistant turn, only the last one, or all tokens."""
    max_length: int = Field(default=2048, ge=8)
    """Maximum number of tokens per row."""
    over_length: OverLength = "raise"
    """What to do with longer rows: raise an error, drop, truncate on the left, or split; all are counted."""
    rewritten_turns: RewrittenTurns = "separate"
    """Turns that the template renders differently when more turns follow, as Qwen 3 does: learn each from a separate
    sample that ends with it, mask it, or learn it as shown, which differs from inference. All are counted."""
    chat_template: str | None = None
    """Overrides the tokenizer's chat template: a Jinja template, or `chatml`, which is built in."""
    date: PrintedDate = "auto"
    """The date that the chat template prints, YYYY-MM-DD. `auto`: the date used in the model's training, else in an
    earlier run of the same step, else today. Part of the fingerprint if the template prints a date."""

    @field_validator("chat_template")
    @classmethod
    def a_template_is_written_in_jinja(cls, template: str | None) -> str | None:
        if template not in (None, "chatml") and not re.search(r"\{[{%#]", template):
            raise ValueError(
                f"'{template}' is neither chatml nor a Jinja template: write the text of one, "
                "or remove the setting to use the tokenizer's own"
            )
        return template


class TokenizerTrainSpec(Spec):
    """Train a byte-level BPE tokenizer on the rows of a dataset."""

    data: DataRef
    """The rows to train on."""
    vocabulary: int = Field(default=32_000, ge=256)
    """Vocabulary size, including special tokens and the 256 bytes."""
    special_tokens: list[str] = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    """Special tokens; the first one is the padding token, `end_of_turn` ends a turn."""
    visible_tokens: list[str] = [
        "<tool_call>",
        "</tool_call>",
        "<tool_response>",
        "</tool_response>",
        "<think>",
        "</think>",
    ]
    """Added tokens that are part of the text: not removed when special tokens are skipped."""
    end_of_turn: str = "<|im_end|>"
    """The special token that ends a turn and a text."""
    digits: int = Field(default=3, ge=1, le=9)
    """Maximum number of digits in one token."""
    min_frequency: int = Field(default=2, ge=1)
    """Pairs that occur less often are not merged."""
    chat_template: Literal["chatml"] | TokenizerRef = "chatml"
    """The chat template to save: `chatml`, or that of another tokenizer."""
    max_rows: int | None = Field(default=None, ge=1)
    """Train on the first rows only."""

    @model_validator(mode="after")
    def a_turn_ends_with_a_special_token(self) -> "TokenizerTrainSpec":
        values = self.__dict__
        if values["end_of_turn"] not in values["special_tokens"]:
            raise ValueError(f"end_of_turn {values['end_of_turn']} is not in special_tokens: add it")
        return self

    @model_validator(mode="after")
    def every_token_is_named_once(self) -> "TokenizerTrainSpec":
        tokens = self.__dict__["special_tokens"] + self.__dict__["visible_tokens"]
        doubled = sorted({token for token in tokens if tokens.count(token) > 1})
        if doubled:
            raise ValueError(f"duplicates in special_tokens and visible_tokens: {', '.join(doubled)}")
        return self

    @model_validator(mode="after")
    def the_vocabulary_holds_all_bytes(self) -> "TokenizerTrainSpec":
        values = self.__dict__
        least = 256 + len(values["special_tokens"]) + len(values["visible_tokens"])
        if values["vocabulary"] < least:
            raise ValueError(f"vocabulary must be at least {least}: 256 bytes plus the special and visible tokens")
        return self
