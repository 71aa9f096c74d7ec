"""How text becomes tokens: rendering of conversations, and training of tokenizers."""

from typing import Literal

from pydantic import Field

from burnish.specs.base import DataRef, Spec, TokenizerRef

OverLength = Literal["raise", "drop", "truncate_left", "split"]
TrainOn = Literal["assistant", "completion", "all"]


class RenderSpec(Spec):
    """How a conversation is rendered, and which of its tokens are learned."""

    train_on: TrainOn = "assistant"
    """Which tokens are learned: every assistant turn, only the last one, or all tokens."""
    max_length: int = Field(default=2048, ge=8)
    """The most tokens a row may have."""
    over_length: OverLength = "raise"
    """What happens to a longer row: an error, or it is dropped, cut on the left, or split; each is counted."""
    chat_template: str | None = None
    """A Jinja chat template in place of the tokenizer's own."""


class TokenizerTrainSpec(Spec):
    """Train a byte-level BPE tokenizer on the rows of a dataset."""

    data: DataRef
    """The rows whose text is learned from."""
    vocabulary: int = Field(default=32_000, ge=264)
    """The number of tokens, special ones and the 256 bytes included."""
    special_tokens: list[str] = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    """Tokens that stand for themselves; the first pads, `end_of_turn` ends a turn."""
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
