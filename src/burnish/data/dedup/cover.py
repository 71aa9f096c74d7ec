"""Which texts are kept of those that have near duplicates: each one dropped is a near duplicate of one that is kept.

A connected component is more than that: of a chain of texts, each like the next, the ends may have little in common.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from burnish.data.dedup.minhash import Scheme
from burnish.data.dedup.near import MapBands, SignedTexts, candidates, estimates, jaccard, margin

_SETS_HELD, _TEXTS_BETWEEN_TICKS = 4096, 1024


def cover(
    texts: SignedTexts,
    scheme: Scheme,
    order: NDArray[np.int64],
    map_bands: MapBands = map,
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> NDArray[np.int64]:
    """For each text one that is kept and at least as similar as the threshold, itself where it is kept [texts].

    The texts of `order` are taken in that order (their numbers), and each is kept unless one like it is kept already.
    `tick` gets (texts done, all that have candidates) now and then.
    """
    pairs = candidates(texts, scheme, order, map_bands)
    estimated = estimates(pairs, texts)
    place = np.full(len(texts), -1)
    place[order] = np.arange(order.size)
    later = np.where(place[pairs[:, 0]] < place[pairs[:, 1]], 1, 0)
    rows = np.arange(len(pairs))
    new, old = pairs[rows, later], pairs[rows, 1 - later]
    listed = np.lexsort((place[old], -estimated, place[new]))  # the most similar first, then the first kept
    new, old, estimated = new[listed], old[listed], estimated[listed]
    is_sure = estimated >= scheme.threshold + margin(scheme)
    kept = np.arange(len(texts))
    sets = _Sets(texts)
    bounds = [*np.flatnonzero(np.diff(new, prepend=-1)).tolist(), new.size]
    for done, (start, end) in enumerate(pairwise(bounds)):
        if done % _TEXTS_BETWEEN_TICKS == 0:
            tick(done, len(bounds) - 1)
        text = int(new[start])
        for at in range(start, end):
            other = int(old[at])
            if kept[other] == other and (is_sure[at] or sets.similarity(text, other) >= scheme.threshold):
                kept[text] = other
                break
    return kept


class _Sets:
    """The sets of shingles of texts, the last ones of which are held."""

    def __init__(self, texts: SignedTexts):
        self._texts = texts
        self._held: dict[int, NDArray[np.uint32]] = {}

    def similarity(self, one: int, other: int) -> float:
        return jaccard(self._set(one), self._set(other))

    def _set(self, text: int) -> NDArray[np.uint32]:
        found = self._held.pop(text, None)
        if found is None:
            found = self._texts.shingles(text)
            if len(self._held) >= _SETS_HELD:
                del self._held[next(iter(self._held))]
        self._held[text] = found  # now the last to be forgotten
        return found
