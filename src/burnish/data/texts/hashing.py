"""64-bit hashes of spans of a block, without a loop over them.

A span's hash is a polynomial of its characters in an odd number R, modulo 2^64: the difference of two prefix sums,
divided by the power of R where the span starts (an odd number has an inverse), then mixed.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from burnish.data.native.library import kernels

_R = 0x9E3779B97F4A7C15
_MIX_1, _MIX_2 = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)
_STEP = np.uint64(0xD6E8FEB86659FD93)


def hashes(codes: NDArray[np.uint32], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.uint64]:
    """A hash of each span of codes, the same wherever it stands [spans]."""
    if built := kernels():
        return built.spans(codes, starts, ends)
    return of_spans(prefixes(codes), starts, ends)


def prefixes(codes: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """Sums of `(code + 1) · R^position` before each position [codes + 1]."""
    terms = codes.astype(np.uint64)
    terms += np.uint64(1)
    terms *= _powers(_R, _room(codes.size))[: codes.size]
    total = np.zeros(codes.size + 1, np.uint64)
    np.cumsum(terms, out=total[1:])
    return total


def of_spans(total: NDArray[np.uint64], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.uint64]:
    """A hash of each span, the same wherever it stands. `total` are the `prefixes` of the block."""
    hashes = total[ends] - total[starts]
    hashes *= _powers(pow(_R, -1, 1 << 64), _room(total.size))[starts]
    return mixed(hashes)


def mixed(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finalizer of MurmurHash3 (Appleby): every bit of the result depends on all bits."""
    hashes = hashes ^ (hashes >> np.uint64(33))
    hashes *= _MIX_1
    hashes ^= hashes >> np.uint64(33)
    hashes *= _MIX_2
    hashes ^= hashes >> np.uint64(33)
    return hashes


def shingles(
    words: NDArray[np.uint64], bounds: NDArray[np.int64], size: int
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Hashes of every `size` consecutive words of a text, and the bounds of each text's."""
    if built := kernels():
        return built.shingles(words, bounds, size)
    counts = np.diff(bounds)
    shortest = np.minimum(counts, size)
    has = np.where(counts > 0, np.maximum(counts - size + 1, 1), 0)
    found = np.zeros(counts.size + 1, np.int64)
    np.cumsum(has, out=found[1:])
    first = np.repeat(bounds[:-1] - found[:-1], has) + np.arange(found[-1])  # the first word of each shingle
    hashes = np.zeros(first.size, np.uint64)
    is_short = np.repeat(shortest, has) if (shortest[has > 0] < size).any() else None
    for place in range(size):
        at = first + place
        if is_short is None:
            hashes *= _STEP
            hashes ^= words[at]
        else:
            holds = place < is_short
            hashes[holds] = (hashes[holds] * _STEP) ^ words[at[holds]]
    return mixed(hashes), found


def runs(words: NDArray[np.uint64], first: NDArray[np.int64], size: int) -> NDArray[np.uint64]:
    """Hashes of the `size` words from each place on [first]: those that `shingles` gives for all places."""
    hashes = np.zeros(first.size, np.uint64)
    for place in range(size):
        hashes *= _STEP
        hashes ^= words[first + place]
    return mixed(hashes)


def _room(size: int) -> int:
    """Sizes of tables are powers of two, so that few are made."""
    return 1 << max(17, (size - 1).bit_length())


@cache
def _powers(base: int, size: int) -> NDArray[np.uint64]:
    powers = np.full(size, base, np.uint64)
    powers[0] = 1
    return np.multiply.accumulate(powers, out=powers)
