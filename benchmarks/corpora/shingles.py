"""Exact Jaccard similarity of documents: their sets of five consecutive words, and a sketch to find partners by.

Written apart from burnish's own words and hashes, so that both can be wrong only by themselves. A word is a run of
letters, digits and underscores in lower case; a Chinese or Japanese character is a word.
"""

import hashlib
import re

import numpy as np
from numpy.typing import NDArray

LENGTH = 5
SKETCH = 24
_SOLO = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
WORD = re.compile(f"[{_SOLO}]|[^\\W{_SOLO}]+")
_FACTORS = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93, 1], np.uint64)
_known: dict[str, int] = {}


def shingles(text: str) -> NDArray[np.uint64]:
    """Hashes of the distinct runs of five words, sorted; of all words together where a text has fewer."""
    words = [_known[word] if word in _known else _hash(word) for word in WORD.findall(text.lower())]
    hashes = np.array(words + [0] * (LENGTH - len(words)), np.uint64)
    runs = np.lib.stride_tricks.sliding_window_view(hashes, LENGTH)
    mixed = np.bitwise_xor.reduce(_scrambled(runs * _FACTORS), axis=1)
    return np.unique(_scrambled(mixed))


def jaccard(some: NDArray[np.uint64], others: NDArray[np.uint64]) -> float:
    """Of two sorted sets."""
    shared = len(np.intersect1d(some, others, assume_unique=True))
    return shared / (len(some) + len(others) - shared)


def sketch(found: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The 24 smallest hashes; what is missing is the largest number. Similar documents share most of them."""
    filled = np.full(SKETCH, np.iinfo(np.uint64).max, np.uint64)
    smallest = found[:SKETCH]
    filled[: len(smallest)] = smallest
    return filled


def _hash(word: str) -> int:
    value = int.from_bytes(hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
    if len(_known) < 3_000_000:
        _known[word] = value
    return value


def _scrambled(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    values = (values ^ (values >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    return values ^ (values >> np.uint64(29))
