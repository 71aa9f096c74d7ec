"""A set of phrases, and where they stand in a block: whole words, in any case, whatever is between the words."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from burnish.data.texts.block import Block

_BITS = 16


@dataclass(frozen=True)
class HashSet64:
    """Sorted 64-bit hashes; a table of their first 16 bits answers for nearly all others."""

    hashes: NDArray[np.uint64]
    has_start: NDArray[np.bool_]

    @classmethod
    def of(cls, hashes: NDArray[np.uint64]) -> "HashSet64":
        has_start = np.zeros(1 << _BITS, bool)
        has_start[hashes >> np.uint64(64 - _BITS)] = True
        return cls(np.unique(hashes), has_start)

    def find(self, hashes: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Which of `hashes` are in the set, and their places in it [found], [found]."""
        likely = np.flatnonzero(self.has_start[hashes >> np.uint64(64 - _BITS)])
        place = np.searchsorted(self.hashes, hashes[likely])
        place[place == self.hashes.size] = 0
        is_found = self.hashes[place] == hashes[likely] if self.hashes.size else np.zeros(0, bool)
        return likely[is_found], place[is_found]


class Phrases:
    """Phrases as hashes of their words. In scripts without spaces a phrase is found inside of words, too."""

    def __init__(self, phrases: Sequence[str]):
        listed = Block(list(phrases))
        words = listed.words
        self._by_size: list[tuple[int, HashSet64]] = []
        for size in sorted({int(count) for count in words.counts} - {0}):
            hashes, bounds = listed.shingles(size)
            self._by_size.append((size, HashSet64.of(hashes[bounds[:-1][words.counts == size]])))
        self.wordless = [phrase for phrase, count in zip(phrases, words.counts, strict=True) if not count]
        """Phrases without a letter or digit, which are not found."""

    def at(self, block: Block) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where phrases stand: the numbers of their first and last words in `block.words` [found], [found]."""
        firsts, lasts = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for size, known in self._by_size:
            hashes, bounds = block.shingles(size)
            found, _ = known.find(hashes)
            text = np.searchsorted(bounds, found, side="right") - 1
            is_whole = block.words.counts[text] >= size
            found, text = found[is_whole], text[is_whole]
            first = found - bounds[text] + block.words.bounds[text]
            firsts.append(first)
            lasts.append(first + size - 1)
        return np.concatenate(firsts), np.concatenate(lasts)

    def counts(self, block: Block) -> NDArray[np.int64]:
        """How many phrases each text has, repeated ones included [texts]."""
        first, _ = self.at(block)
        return np.bincount(np.searchsorted(block.words.bounds, first, side="right") - 1, minlength=len(block))

    def distinct(self, block: Block) -> NDArray[np.int64]:
        """How many different phrases of one word each text has [texts]."""
        size, known = self._by_size[0]
        if size != 1:
            return np.zeros(len(block), np.int64)
        hashes, _ = block.shingles(1)
        found, which = known.find(hashes)
        text = np.searchsorted(block.words.bounds, found, side="right") - 1
        pairs = np.unique(text * known.hashes.size + which)
        return np.bincount(pairs // max(1, known.hashes.size), minlength=len(block))
