"""Pages stuffed with keywords."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from burnish.data.filters.likely import judged
from burnish.data.filters.quality.repetition import Runs
from burnish.data.texts import characters
from burnish.data.texts.block import Block
from burnish.data.texts.phrases import Phrases
from burnish.data.texts.repeated import shares
from burnish.data.texts.segments import sums

_LEAST_WORDS, _LEAST_LENGTH = 50, 3
_PUNCTUATION = 0.13
"""Code says one name often; it has more punctuation than this."""
_TOP_PAIR = 0.18
_FREQUENT = """
the and that have with for you are was this not his her they but from she which said has had were all its will would
der die und das ist nicht ein den von mit sich des auf für dem eine les des est une que dans pour los las con por het
een van niet och att det som und что как это не на все
"""


@cache
def _frequent() -> Phrases:
    return Phrases(sorted(set(_FREQUENT.split())))


@dataclass(frozen=True)
class Stuffing:
    """Drop texts of 50 or more words of which more than this share is one content word.

    In scripts without spaces a pair of characters takes the place of the word, and 100 characters are enough.
    """

    max_share: float

    def __call__(self, block: Block) -> dict[str, NDArray[np.bool_]]:
        words = block.words
        punctuation = block.lengths - block.count(block.properties, characters.WORD | characters.SPACE)
        runs = Runs(block)
        is_solo = runs.is_solo
        is_prose = is_solo | (punctuation < _PUNCTUATION * block.visible)
        enough = (words.counts >= np.where(is_solo, 2, 1) * _LEAST_WORDS) & is_prose
        # a content word has three characters at least: so many of the text's are of the word that has most
        top, _ = block.word_shares
        lengths = sums(np.minimum(words.lengths, 255), words.bounds)
        likely = enough & (is_solo | (top * lengths > _LEAST_LENGTH * self.max_share * words.counts))
        return {"stuffed with keywords": judged(likely, block, self._is_stuffed)}

    def _is_stuffed(self, block: Block) -> NDArray[np.bool_]:
        words, runs = block.words, Runs(block)
        is_solo = runs.is_solo
        letters = block.counts_within(words, block.properties, characters.LETTER)
        is_content = letters >= _LEAST_LENGTH
        first, _ = _frequent().at(block)
        is_content[first] = False
        _, _, most = shares(words.hashes, np.ones(is_content.size, np.int64), is_content, words.bounds)
        is_stuffed = most > self.max_share * words.counts
        if is_solo.any():
            pairs = runs.top(1)  # of scripts without spaces: of two characters
            is_stuffed |= is_solo & (pairs > max(self.max_share, _TOP_PAIR))
        return is_stuffed
