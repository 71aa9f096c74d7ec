"""How text becomes tokens: rendering of conversations, and training of tokenizers."""

from typing import Literal

from pydantic import Field, model_validator

from burnish.specs.base import DataRef, PrintedDate, Spec, TokenizerRef

OverLength = Literal["raise", "drop", "truncate_left", "split"]
TrainOn = Literal["assistant", "completion", "all"]
RewrittenTurns = Literal["separate", "mask", "as_shown"]


class RenderSpec(Spec):
    """How a conversation is rendered, and which of its tokens are learned."""

    train_on: TrainOn = "assistant"
    """Which tokens are learned: every assistant turn, only the last one, or all tokens."""
    max_length: int = Field(default=2048, ge=8)
    """The most tokens a row may have."""
    over_length: OverLength = "raise"
    """What happens to a longer row: an error, or it is dropped, cut on the left, or split; each is counted."""
    rewritten_turns: RewrittenTurns = "separate"
    """Turns that the template renders otherwise once the conversation goes on, as Qwen 3 does: each is learned from
    a sample of its own that ends with it, or masked, or learned in a shape that is never met in use; counted."""
    chat_template: str | None = None
    """In place of the tokenizer's own chat template: a Jinja text, or `chatml`, the one that burnish ships."""
    date: PrintedDate = "auto"
    """The date that the chat template prints, YYYY-MM-DD. `auto`: the date that the model was trained with, else that
    of an earlier run of the same step, else today; part of the step's identity where the template prints a date."""


class TokenizerTrainSpec(Spec):
    """Train a byte-level BPE tokenizer on the rows of a dataset."""

    data: DataRef
    """The rows whose text is learned from."""
    vocabulary: int = Field(default=32_000, ge=256)
    """The number of tokens, special ones and the 256 bytes included."""
    special_tokens: list[str] = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    """Tokens that stand for themselves; the first pads, `end_of_turn` ends a turn."""
    visible_tokens: list[str] = [
        "<tool_call>",
        "</tool_call>",
        "<tool_response>",
        "</tool_response>",
        "<think>",
        "</think>",
    ]
    """Tokens that also stand for themselves, but belong to the text and are kept when special ones are dropped."""
    end_of_turn: str = "<|im_end|>"
    """The special token that ends a turn and a text."""
    digits: int = Field(default=3, ge=1, le=9)
    """The longest run of digits that may become one token."""
    min_frequency: int = Field(default=2, ge=1)
    """A pair seen less often is not merged."""
    chat_template: Literal["chatml"] | TokenizerRef = "chatml"
    """The chat template that is saved with it: `chatml`, or that of another tokenizer."""
    max_rows: int | None = Field(default=None, ge=1)
    """Learn from the first rows only."""

    @model_validator(mode="after")
    def a_turn_ends_with_a_special_token(self) -> "TokenizerTrainSpec":
        values = self.__dict__
        if values["end_of_turn"] not in values["special_tokens"]:
            raise ValueError(f"end_of_turn {values['end_of_turn']} is none of special_tokens: add it there")
        return self

    @model_validator(mode="after")
    def every_token_is_named_once(self) -> "TokenizerTrainSpec":
        tokens = self.__dict__["special_tokens"] + self.__dict__["visible_tokens"]
        doubled = sorted({token for token in tokens if tokens.count(token) > 1})
        if doubled:
            raise ValueError(f"named twice among special_tokens and visible_tokens: {', '.join(doubled)}")
        return self

    @model_validator(mode="after")
    def the_vocabulary_holds_all_bytes(self) -> "TokenizerTrainSpec":
        values = self.__dict__
        least = 256 + len(values["special_tokens"]) + len(values["visible_tokens"])
        if values["vocabulary"] < least:
            raise ValueError(f"the bytes and the special and visible tokens are {least} tokens: raise vocabulary")
        return self
