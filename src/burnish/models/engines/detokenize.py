"""Decodes a growing list of token ids into pieces of text; a character is never split."""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_LONGEST_CHARACTER = 8
"""Most tokens that one character may span; after that many the bytes count as invalid and are shown."""


_BYTE = re.compile(r"<0x[0-9A-F]{2}>")


def decode(tokenizer: "PreTrainedTokenizerBase", ids: list[int]) -> str:
    """Ids as text, with special tokens and without clean-up of spaces."""
    return str(tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))


class Detokenizer:
    """The pieces add up to `decode` of all ids.

    A tokenizer may treat the start of a text differently, so a piece is the difference of two decoded texts that start
    at the same, earlier token.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase"):
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        self._start = self._shown = 0  # text up to token `_shown` is returned; decoding starts at token `_start`

    def add(self, token: int) -> str:
        """The text that is complete now; empty while a character is incomplete."""
        self._ids.append(token)
        if _BYTE.fullmatch(str(self._tokenizer.convert_ids_to_tokens(token))):
            return ""  # SentencePiece decodes a run of bytes together: the next one may turn all of it into �
        return self._piece(final=len(self._ids) - self._shown >= _LONGEST_CHARACTER)

    def end(self) -> str:
        """The remaining text."""
        return self._piece(final=True)

    def _piece(self, final: bool) -> str:
        before = decode(self._tokenizer, self._ids[self._start : self._shown])
        now = decode(self._tokenizer, self._ids[self._start :])
        if not final and now.endswith("\N{REPLACEMENT CHARACTER}"):
            return ""
        self._start, self._shown = self._shown, len(self._ids)
        return now[len(before) :]
