"""Bounds on the length of a text."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from burnish.data.texts.block import Block

Count = Callable[[Sequence[str]], Sequence[int]]
"""The number of tokens of each text."""


@dataclass(frozen=True)
class Length:
    """Drop texts of too few or too many characters or words; None is no bound."""

    min_characters: int
    max_characters: int | None
    min_words: int
    max_words: int | None

    def __call__(self, block: Block) -> dict[str, NDArray[np.bool_]]:
        found = {f"fewer than {self.min_characters:,} characters": block.lengths < self.min_characters}
        if self.max_characters is not None:
            found[f"more than {self.max_characters:,} characters"] = block.lengths > self.max_characters
        if self.min_words:
            found[f"fewer than {self.min_words:,} words"] = block.words.counts < self.min_words
        if self.max_words is not None:
            found[f"more than {self.max_words:,} words"] = block.words.counts > self.max_words
        return found


@dataclass(frozen=True)
class Tokens:
    """Drop texts of too few or too many tokens, as `count` counts them; None is no bound."""

    min_tokens: int
    max_tokens: int | None
    count: Count

    def __call__(self, block: Block) -> dict[str, NDArray[np.bool_]]:
        counts = np.array(self.count(block.texts), np.int64)
        found = {f"fewer than {self.min_tokens:,} tokens": counts < self.min_tokens} if self.min_tokens else {}
        if self.max_tokens is not None:
            found[f"more than {self.max_tokens:,} tokens"] = counts > self.max_tokens
        return found
