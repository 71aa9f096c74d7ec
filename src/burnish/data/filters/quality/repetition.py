"""Lines, paragraphs and runs of words that a text repeats (Rae et al. 2021, A.1.1, table A1)."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from burnish.data.filters.likely import judged
from burnish.data.native.library import WordRuns
from burnish.data.texts import characters
from burnish.data.texts.block import Block
from burnish.data.texts.repeated import covered, repeats, top
from burnish.data.texts.segments import maxima, sums
from burnish.specs.data.filters import RepetitionSpec

_LONG = 255
"""Characters of a word beyond which the shares of words say nothing of runs."""
_LEAST_WORDS = 30
"""In a shorter text any phrase that is said twice is much of it."""


@dataclass(frozen=True)
class Repetition:
    """Drop texts that repeat themselves.

    Shares of runs of words are of the characters of all words. In scripts without spaces a run has twice as many
    characters as it would have words, since a word has about two.
    """

    limits: RepetitionSpec

    def __call__(self, block: Block) -> dict[str, NDArray[np.bool_]]:
        limits, lines = self.limits, block.full_lines
        line_again = repeats(block.lines.hashes[lines.at], lines.bounds)
        repeats_lines = sums(line_again, lines.bounds) > 0
        found = {
            "a line repeated too often": (lines.share(line_again) > limits.max_duplicate_lines)
            | (lines.share_of_characters(line_again) > limits.max_duplicate_line_characters),
            "a paragraph repeated too often": judged(repeats_lines, block, self._repeats_paragraphs),
        }
        has_many = block.words.counts >= _LEAST_WORDS
        of_top, again = block.word_shares
        # A run of n words has no larger share than n times the largest of a word; what repeated runs cover, repeated
        # words cover too. In scripts without spaces a run has twice the words.
        if limits.max_top_ngram:
            least = min(most / (2 * size) for size, most in limits.max_top_ngram.items())
            likely = has_many & ((of_top > least) | (_longest(block) > _LONG))
            found["a phrase repeated too often"] = judged(likely, block, self._repeats_a_phrase)
        if limits.max_duplicate_ngrams:
            likely = has_many & ((again > min(limits.max_duplicate_ngrams.values())) | (_longest(block) > _LONG))
            found["runs of words repeated too often"] = judged(likely, block, self._repeats_runs)
        return found

    def _repeats_paragraphs(self, block: Block) -> NDArray[np.bool_]:
        paragraphs = block.paragraphs
        again = repeats(paragraphs.hashes, paragraphs.bounds)
        lengths = np.maximum(sums(paragraphs.lengths, paragraphs.bounds), 1)
        share = sums(again, paragraphs.bounds) / np.maximum(paragraphs.counts, 1)
        of_characters = sums(np.where(again, paragraphs.lengths, 0), paragraphs.bounds) / lengths
        limits = self.limits
        too_many = share > limits.max_duplicate_paragraphs
        return too_many | (of_characters > limits.max_duplicate_paragraph_characters)

    def _repeats_a_phrase(self, block: Block) -> NDArray[np.bool_]:
        runs = Runs(block)
        return _any(runs.top(size) > most for size, most in sorted(self.limits.max_top_ngram.items()))

    def _repeats_runs(self, block: Block) -> NDArray[np.bool_]:
        return Runs(block).exceed(self.limits.max_duplicate_ngrams)


def _longest(block: Block) -> NDArray[np.int64]:
    return maxima(block.words.lengths, block.words.bounds)


def _any(parts: Iterable[NDArray[np.bool_]]) -> NDArray[np.bool_]:
    return np.logical_or.reduce(list(parts))


class Runs:
    """Runs of words of a block's texts that occur several times."""

    def __init__(self, block: Block):
        self._block = block
        words = block.words
        is_solo = (block.properties[words.starts] & characters.SOLO) != 0
        self.is_solo = sums(is_solo, words.bounds) * 2 > words.counts  # [texts]
        self._length = sums(words.lengths, words.bounds)  # [texts]
        self._ends = np.concatenate([[0], np.cumsum(words.lengths)])  # [words + 1]

    def top(self, size: int) -> NDArray[np.float64]:
        """The share of each text's characters in its most frequent run of `size` words [texts].

        Of runs that are as frequent the longest counts; one that occurs once is no repetition. Where its
        occurrences overlap the share may exceed 1.
        """
        return self._shares(size, Runs._top)

    def _top(self, size: int) -> NDArray[np.float64]:
        return top(self._of(size)) / np.maximum(self._length, 1)

    def exceed(self, limits: dict[int, float]) -> NDArray[np.bool_]:
        """Which texts have a larger share of repeated runs than allowed for a number of words [texts].

        What a repeated run covers, shorter ones cover too: only texts that exceed the least limit by the shortest
        runs are looked at for longer ones.
        """
        sizes = sorted(limits)
        shares = self.repeated(sizes[0])
        found = shares > limits[sizes[0]]
        open_ = np.flatnonzero(~found & (shares > min(limits.values())))
        if len(sizes) > 1 and open_.size:
            few = Runs(Block([self._block.texts[i] for i in open_.tolist()]))
            found[open_] = _any(few.repeated(size) > limits[size] for size in sizes[1:])
        return found

    def repeated(self, size: int) -> NDArray[np.float64]:
        """The share of each text's characters in runs of `size` words that stand there before [texts]."""
        return self._shares(size, Runs._repeated)

    def _shares(self, size: int, share: "Callable[[Runs, int], NDArray[np.float64]]") -> NDArray[np.float64]:
        """A share by runs of `size` words, of twice as many in scripts without spaces [texts]."""
        is_solo, count = self.is_solo, int(self.is_solo.sum())
        if count in (0, len(self._block)):
            return share(self, size * 2 if count else size)
        fewer = is_solo if count * 2 <= is_solo.size else ~is_solo
        shares = share(self, size if fewer is is_solo else size * 2)
        shares[fewer] = share(self._fewer, size * 2 if fewer is is_solo else size)
        return shares

    @cached_property
    def _fewer(self) -> "Runs":
        """The texts of the kind of script that the block has fewer of."""
        is_solo = self.is_solo
        at = np.flatnonzero(is_solo if int(is_solo.sum()) * 2 <= is_solo.size else ~is_solo)
        return Runs(Block([self._block.texts[i] for i in at.tolist()]))

    def _repeated(self, size: int) -> NDArray[np.float64]:
        return covered(self._of(size)) / np.maximum(self._length, 1)

    def _of(self, size: int) -> WordRuns:
        return WordRuns(*self._block.shingles(size), self._block.words.bounds, size, self._ends)
