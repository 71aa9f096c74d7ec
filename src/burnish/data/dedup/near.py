"""Near duplicates among signed texts: pairs that share a band, verified by their similarity, and the groups they form.

Signed texts lie in parts, such as memory-mapped files. Memory grows with the number of texts (some 30 bytes each), not
with their lengths.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from burnish.data.dedup.components import components
from burnish.data.dedup.minhash import Scheme, Signed
from burnish.data.native.library import kernels
from burnish.data.texts.repeated import places_of_several

Pairs = NDArray[np.int64]
"""Pairs of texts, the earlier first [pairs, 2]."""
_NEIGHBOURS = 8
"""In a band, a text is paired with so many that follow it, and with the first: of a large group that is enough."""
_DEVIATIONS = 3.0
"""An estimate further than so many standard deviations from the threshold decides; nearer ones are counted out."""
_PAIRS_AT_ONCE = 1 << 14
_BY_CHANCE = 1 / 256
"""The share of places that agree in one byte and differ otherwise."""
Matters = Callable[[Pairs, Pairs], NDArray[np.bool_]]
"""Given pairs that were found, which of other pairs say something more [other pairs]."""
MapBands = Callable[["BandPairs", range], Iterable[Pairs]]
"""Applies a function to each band; another than `map` may do that elsewhere."""


class SignedTexts:
    """Parts of signed texts as one sequence. `release` is called when much of them was read; it may free memory."""

    def __init__(self, parts: Sequence[Signed], release: Callable[[], None] = lambda: None):
        self.parts, self.release = parts, release
        self.bounds = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
        self._firsts: list[int] = self.bounds.tolist()

    def __len__(self) -> int:
        return int(self.bounds[-1])

    def keys(self, band: int) -> NDArray[np.uint64]:
        """The key of each text in a band [texts]."""
        return np.concatenate([np.zeros(0, np.uint64), *(part.keys[band] for part in self.parts)])

    def has_shingles(self) -> NDArray[np.bool_]:
        """Whether a text has any [texts]."""
        return np.concatenate([np.zeros(0, bool), *(np.diff(part.bounds) > 0 for part in self.parts)])

    def signatures(self, texts: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The signatures of these texts [len(texts), places]."""
        parts, rows = self._places(texts)
        found = np.empty((texts.size, self.parts[0].signatures.shape[1]), np.uint8)
        for part in np.unique(parts):
            here = parts == part
            found[here] = self.parts[part].signatures[rows[here]]
        return found

    def agreements(self, pairs: Pairs) -> NDArray[np.int64]:
        """In how many places the signatures of each pair agree [pairs]."""
        if built := kernels():
            one, other = (self._places(np.ascontiguousarray(texts)) for texts in pairs.T)
            return built.agreements([part.signatures for part in self.parts], one, other)
        return (self.signatures(pairs[:, 0]) == self.signatures(pairs[:, 1])).sum(axis=1)

    def _places(self, texts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The part of each text, and its row in it."""
        parts = np.searchsorted(self.bounds, texts, side="right") - 1
        return parts, texts - self.bounds[parts]

    def shingles(self, text: int) -> NDArray[np.uint32]:
        """The shingles of a text, sorted."""
        number = bisect_right(self._firsts, text) - 1
        part, row = self.parts[number], text - self._firsts[number]
        return np.sort(part.shingles[part.bounds[row] : part.bounds[row + 1]])


def groups(
    texts: SignedTexts, scheme: Scheme, among: NDArray[np.bool_] | None = None, map_bands: MapBands = map
) -> NDArray[np.int64]:
    """For each text the first one of its group, itself where it has no near duplicate [texts].

    Only texts `among` are compared. Texts are in one group if a chain of pairs joins them, each at least as similar as
    `scheme.threshold`.
    """
    order = np.arange(len(texts)) if among is None else np.flatnonzero(among)
    return components(len(texts), verified(candidates(texts, scheme, order, map_bands), texts, scheme))


def candidates(texts: SignedTexts, scheme: Scheme, order: NDArray[np.int64], map_bands: MapBands = map) -> Pairs:
    """The pairs of texts that share a band, unless their signatures say that they differ; each once.

    Only the texts in `order` are compared; of many that share a band, each is compared with the first ones in it.
    """
    find = BandPairs(texts, scheme, order[texts.has_shingles()[order]])
    found = [np.zeros((0, 2), np.int64), *map_bands(find, range(scheme.bands))]
    return np.unique(np.concatenate(found), axis=0)


class BandPairs:
    """Finds the pairs of texts that agree in a band, but those of bands before, and those whose signatures differ."""

    def __init__(self, texts: SignedTexts, scheme: Scheme, order: NDArray[np.int64]):
        self.order = order
        self._texts, self._scheme = texts, scheme
        self._small: dict[int, NDArray[np.bool_]] = {}

    def __call__(self, band: int) -> Pairs:
        pairs = np.sort(self.order[_pairs_of_equal(self._texts.keys(band)[self.order])], axis=1)
        for earlier in range(band):
            keys = self._texts.keys(earlier)
            found_there = (keys[pairs[:, 0]] == keys[pairs[:, 1]]) & self._is_in_small_group(earlier)[pairs[:, 0]]
            pairs = pairs[~found_there]
        least = self._scheme.threshold - margin(self._scheme)
        return pairs[estimates(pairs, self._texts) >= least]

    def _is_in_small_group(self, band: int) -> NDArray[np.bool_]:
        """Whether all pairs of a text's group in a band are looked at [texts]."""
        if band not in self._small:
            places, bounds = _groups(self._texts.keys(band)[self.order])
            large = np.repeat(np.diff(bounds) > _NEIGHBOURS, np.diff(bounds))
            self._small[band] = np.ones(len(self._texts), bool)
            self._small[band][self.order[places[large]]] = False
        return self._small[band]


def _groups(keys: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The places of keys that occur several times, those of a key together and in order; the bounds of each key's."""
    places = places_of_several(keys)
    places = places[np.argsort(keys[places], kind="stable")]
    ordered = keys[places]
    begins = np.flatnonzero(np.concatenate([ordered[:1] == ordered[:1], ordered[1:] != ordered[:-1]]))
    return places, np.concatenate([begins, [places.size]])


def _pairs_of_equal(keys: NDArray[np.uint64]) -> Pairs:
    """Pairs of places with the same key: of each the next ones, and the first of all that have the key."""
    places, bounds = _groups(keys)
    first = np.repeat(bounds[:-1], np.diff(bounds))
    at = np.arange(places.size)
    found = [np.zeros((0, 2), np.int64)]
    for distance in range(1, _NEIGHBOURS):
        later = np.flatnonzero(at - first >= distance)
        if not later.size:
            break
        found.append(np.stack([places[later - distance], places[later]], axis=1))
    far = np.flatnonzero(at - first >= _NEIGHBOURS)
    found.append(np.stack([places[first[far]], places[far]], axis=1))
    return np.concatenate(found)


def estimates(pairs: Pairs, texts: SignedTexts) -> NDArray[np.float64]:
    """The estimated similarity of each pair: the share of places that agree, less those that do by chance."""
    found = np.empty(len(pairs))
    width = texts.parts[0].signatures.shape[1] if texts.parts else 1
    for start in range(0, len(pairs), _PAIRS_AT_ONCE):
        part = pairs[start : start + _PAIRS_AT_ONCE]
        found[start : start + len(part)] = texts.agreements(part) / width
        texts.release()
    return (found - _BY_CHANCE) / (1 - _BY_CHANCE)


def verified(pairs: Pairs, texts: SignedTexts, scheme: Scheme) -> Pairs:
    """Pairs that are as similar as the threshold says, enough to join all that any such pair joins."""

    def joins_others(found: Pairs, others: Pairs) -> NDArray[np.bool_]:
        labels = components(len(texts), found)
        return labels[others[:, 0]] != labels[others[:, 1]]

    return similar(pairs, texts, scheme, joins_others)


def similar(pairs: Pairs, texts: SignedTexts, scheme: Scheme, matters: Matters) -> Pairs:
    """Pairs that are as similar as the threshold says, but of those that `matters` denies some may be left out.

    The signatures decide where they are clear; else the shingles are compared, where that matters.
    """
    estimated = estimates(pairs, texts)
    order = np.argsort(-estimated, kind="stable")
    pairs, estimated = pairs[order], estimated[order]
    sure = int(np.searchsorted(-estimated, -(scheme.threshold + margin(scheme)), side="right"))
    found = pairs[:sure]
    for start in range(sure, len(pairs), _PAIRS_AT_ONCE):
        part = pairs[start : start + _PAIRS_AT_ONCE]
        part = part[matters(found, part)]
        found = np.concatenate([found, part[similarities(part, texts) >= scheme.threshold]])
    return found


def similarities(pairs: Pairs, texts: SignedTexts) -> NDArray[np.float64]:
    """The exact similarity of each pair's sets of shingles."""
    numbers, places = np.unique(pairs, return_inverse=True)
    sets = [texts.shingles(number) for number in numbers.tolist()]
    texts.release()
    return np.array([jaccard(sets[i], sets[j]) for i, j in places.reshape(-1, 2).tolist()])


def distinct(values: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """The distinct values, sorted; for a few hundred that is several times as fast as `numpy.unique`."""
    values = np.sort(values)
    return values[np.concatenate([values[:1] == values[:1], values[1:] != values[:-1]])]


def jaccard(one: NDArray[np.uint32], other: NDArray[np.uint32]) -> float:
    """The similarity of two sets, each given as sorted values; 0 of empty ones."""
    if built := kernels():
        common, either = built.common(one, other)
        return common / max(1, either)
    both = np.concatenate([distinct(one), distinct(other)])
    both.sort()
    common = int(np.count_nonzero(both[1:] == both[:-1]))
    return common / max(1, both.size - common)


def margin(scheme: Scheme) -> float:
    """The error of an estimate at the threshold: a mean of so many agreements.

    At 0 and 1 it is not 0: texts whose signatures agree in all places may differ.
    """
    share = min(max(scheme.threshold, 0.05), 0.95)
    return _DEVIATIONS * (share * (1 - share) / (scheme.bands * scheme.rows)) ** 0.5
