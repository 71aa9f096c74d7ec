"""A set of phrases, and where they stand in a block: whole words, in any case, whatever is between the words."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from burnish.data.native.library import kernels
from burnish.data.texts import hashing
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
        if built := kernels():
            return built.find(hashes, self.hashes, self.has_start)
        likely = np.flatnonzero(self.has_start[hashes >> np.uint64(64 - _BITS)])
        place = np.searchsorted(self.hashes, hashes[likely])
        place[place == self.hashes.size] = 0
        is_found = self.hashes[place] == hashes[likely] if self.hashes.size else np.zeros(0, bool)
        return likely[is_found], place[is_found]


class Phrases:
    """Phrases as hashes of their words. In scripts without spaces a phrase is found inside of words, too."""

    def __init__(self, phrases: Sequence[str]):
        words = Block(list(phrases)).words
        has_words = words.counts > 0
        firsts, sizes = words.bounds[:-1][has_words], words.counts[has_words]
        self._begins = HashSet64.of(words.hashes[firsts])
        self._by_size: list[tuple[int, NDArray[np.bool_], HashSet64]] = []
        """By the words of a phrase: which first words begin one, and the phrases."""
        for size in np.unique(sizes).tolist():
            of_size = firsts[sizes == size]
            begins = np.zeros(self._begins.hashes.size, bool)
            begins[self._begins.find(words.hashes[of_size])[1]] = True
            self._by_size.append((size, begins, HashSet64.of(hashing.runs(words.hashes, of_size, size))))
        self.wordless = [phrase for phrase, count in zip(phrases, words.counts, strict=True) if not count]
        """Phrases without a letter or digit, which are not found."""

    def at(self, block: Block) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where phrases stand: the numbers of their first and last words in `block.words` [found], [found]."""
        words = block.words
        likely, which = self._begins.find(words.hashes)
        ends = words.bounds[np.searchsorted(words.bounds, likely, side="right")]
        firsts, lasts = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for size, begins, known in self._by_size:
            first = likely[begins[which] & (likely + size <= ends)]
            found, _ = known.find(hashing.runs(words.hashes, first, size))
            firsts.append(first[found])
            lasts.append(first[found] + size - 1)
        return np.concatenate(firsts), np.concatenate(lasts)

    def counts(self, block: Block) -> NDArray[np.int64]:
        """How many phrases each text has, repeated ones included [texts]."""
        first, _ = self.at(block)
        return np.bincount(np.searchsorted(block.words.bounds, first, side="right") - 1, minlength=len(block))

    def distinct(self, block: Block) -> NDArray[np.int64]:
        """How many different first words of phrases each text has [texts]."""
        found, which = self._begins.find(block.words.hashes)
        text = np.searchsorted(block.words.bounds, found, side="right") - 1
        pairs = np.unique(text * self._begins.hashes.size + which)
        return np.bincount(pairs // max(1, self._begins.hashes.size), minlength=len(block))
