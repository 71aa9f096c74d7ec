"""What a text says again: spans, words and runs of words whose hashes it has several times."""

import numpy as np
from numpy.typing import NDArray

from burnish.data.native.library import WordRuns, kernels
from burnish.data.texts.segments import maxima, sums

_LOW_BITS = np.uint64(0xFFFF)
MOST_WEIGHT = 255
"""Of `shares`: weights have 8 bits beside a hash."""


def repeats(hashes: NDArray[np.uint64], bounds: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which spans equal an earlier one of the same text [spans]."""
    if built := kernels():
        return built.repeats(hashes, bounds)
    keys = _keys(hashes, bounds)
    places = places_of_several(keys)
    order = places[np.argsort(keys[places], kind="stable")]
    found = np.zeros(hashes.size, bool)
    found[order[1:]] = keys[order[1:]] == keys[order[:-1]]
    return found


def shares(
    hashes: NDArray[np.uint64], weights: NDArray[np.int64], chosen: NDArray[np.bool_], bounds: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """What the chosen spans of each text weigh, equal ones together.

    The greatest sum of equal ones, the sum where each counts once, and how often the most frequent one occurs
    [texts] × 3. Weights are at most `MOST_WEIGHT`; spans of other weights are different ones.
    """
    if built := kernels():
        return built.shares(hashes, weights, chosen, bounds)
    texts = bounds.size - 1
    text = np.repeat(np.arange(texts, dtype=np.uint64), np.diff(bounds))
    keys = (text << np.uint64(44)) | ((hashes >> np.uint64(28)) << np.uint64(8)) | weights.astype(np.uint64)
    keys = np.sort(keys[chosen])
    first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])) if keys.size else np.zeros(0, np.int64)
    times = np.diff(np.concatenate([first, [keys.size]]))
    weight = (keys[first] & np.uint64(MOST_WEIGHT)).astype(np.int64)
    of = np.searchsorted((keys[first] >> np.uint64(44)).astype(np.int64), np.arange(texts + 1))
    return maxima(times * weight, of), sums(weight, of), maxima(times, of)


def covered(runs: WordRuns) -> NDArray[np.int64]:
    """Characters of each text in runs of words that stand there before [texts]."""
    if built := kernels():
        return built.covered(runs)
    at = np.flatnonzero(repeats(runs.hashes, runs.bounds))
    of = np.searchsorted(runs.bounds, at, side="right") - 1
    first = at - runs.bounds[of] + runs.word_bounds[of]
    edges = np.zeros(runs.ends.size, np.int64)
    np.add.at(edges, first, 1)
    np.add.at(edges, first + runs.size, -1)
    is_covered = np.cumsum(edges[:-1]) > 0
    return sums(np.where(is_covered, np.diff(runs.ends), 0), runs.word_bounds)


def top(runs: WordRuns) -> NDArray[np.int64]:
    """Characters of each text in its most frequent run of words; 0 where all occur once [texts].

    Of runs that are as frequent the longest counts. Characters that occurrences share are counted in each.
    """
    if built := kernels():
        return built.top(runs)
    keys = _keys(runs.hashes, runs.bounds)
    places = places_of_several(keys)
    order = places[np.argsort(keys[places], kind="stable")]
    ordered = keys[order]
    first = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if ordered.size else order
    times = np.diff(np.concatenate([first, [ordered.size]]))
    at = order[first]  # a shingle of each run
    of = (ordered[first] >> np.uint64(44)).astype(np.int64)
    word = at - runs.bounds[of] + runs.word_bounds[of]
    length = runs.ends[word + runs.size] - runs.ends[word]
    of_text = np.searchsorted(of, np.arange(runs.bounds.size))
    most = maxima(times, of_text)
    return maxima(np.where(times == most[of], times * length, 0), of_text)


def _keys(hashes: NDArray[np.uint64], bounds: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Spans of one text have equal keys if their hashes are equal; those of different texts never [spans]."""
    text = np.repeat(np.arange(bounds.size - 1, dtype=np.uint64), np.diff(bounds))
    return (text << np.uint64(44)) | (hashes >> np.uint64(20))


def places_of_several(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Where keys stand that occur more than once. Most do not, and sorting keys costs a third of sorting places."""
    ordered = np.sort(keys)
    several = ordered[1:][ordered[1:] == ordered[:-1]]
    if not several.size:
        return np.zeros(0, np.int64)
    has_bits = np.zeros(1 << 16, bool)
    has_bits[several & _LOW_BITS] = True
    likely = np.flatnonzero(has_bits[keys & _LOW_BITS])
    place = np.minimum(np.searchsorted(several, keys[likely]), several.size - 1)
    return likely[several[place] == keys[likely]]
