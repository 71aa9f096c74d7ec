"""Texts that contain parts of evaluations: runs of words in common."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from burnish.data.texts.block import Block
from burnish.data.texts.phrases import HashSet64
from burnish.data.texts.segments import sums

_LEAST = 8
"""Words of the shortest evaluation text that is looked for; shorter ones are found in many texts by chance."""


class Contamination:
    """Drop texts that share runs of `size` words with evaluations, given as (name, text).

    `share` is the least share of a text's runs that are of evaluations, 0: one is enough. A text of an evaluation
    that has fewer words than a run, and 8 at least, is looked for as a whole, and one is enough. A character of a
    script without spaces is a word; case and punctuation do not matter.
    """

    reason = "in an evaluation"

    def __init__(self, texts: Iterable[tuple[str, str]], size: int = 13, share: float = 0.0):
        self._size, self._share = size, share
        self._names: list[str] = []
        self.too_short = 0
        """Texts of evaluations of too few words to look for."""
        found: dict[int, list[tuple[NDArray[np.uint64], int]]] = {}
        for name, text in texts:
            block = Block([text])
            words = int(block.words.counts[0])
            if words < min(_LEAST, size):
                self.too_short += 1
                continue
            hashes, _ = block.shingles(min(words, size))
            found.setdefault(min(words, size), []).append((hashes, len(self._names)))
            self._names.append(name)
        self._known = {length: _Known(parts) for length, parts in sorted(found.items())}

    def __call__(self, block: Block) -> dict[str, NDArray[np.bool_]]:
        is_found = np.zeros(len(block), bool)
        for length, known in self._known.items():
            hits, bounds = _hits(block, length, known)
            counts = sums(hits, bounds)
            if length == self._size:
                is_found |= (counts > 0) & (counts >= self._share * np.diff(bounds))
            else:
                is_found |= counts > 0
        return {self.reason: is_found}

    def rows_in(self, text: str) -> list[tuple[str, int]]:
        """The evaluations' rows that a text has runs of: name and number of runs, most first."""
        counts: dict[int, int] = {}
        block = Block([text])
        for length, known in self._known.items():
            hashes, _ = block.shingles(length)
            if block.words.counts[0] < length:
                continue
            _, which = known.set.find(np.unique(hashes))
            for place in which:
                for owner in known.owners(place):
                    counts[owner] = counts.get(owner, 0) + 1
        ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        return [(self._names[owner], count) for owner, count in ordered]


class _Known:
    """Runs of one length, and the texts that each is of."""

    def __init__(self, parts: list[tuple[NDArray[np.uint64], int]]):
        hashes = np.concatenate([part for part, _ in parts])
        owners = np.concatenate([np.full(part.size, owner, np.int64) for part, owner in parts])
        order = np.argsort(hashes, kind="stable")
        self._owners = owners[order]
        self.set = HashSet64.of(hashes)
        self._bounds = np.searchsorted(hashes[order], np.concatenate([self.set.hashes]))

    def owners(self, place: int) -> list[int]:
        """The texts with the run at a place of the set."""
        end = self._bounds[place + 1] if place + 1 < self._bounds.size else self._owners.size
        return np.unique(self._owners[self._bounds[place] : end]).tolist()


def _hits(block: Block, length: int, known: _Known) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Which runs of a block are known [runs], and the bounds of each text's."""
    hashes, bounds = block.shingles(length)
    hits = np.zeros(hashes.size, bool)
    found, _ = known.set.find(hashes)
    hits[found] = True
    return hits, bounds
