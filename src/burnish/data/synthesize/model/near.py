"""Texts that nearly equal earlier ones: MinHash signatures in bands, candidates compared exactly (Broder, 1997)."""

import hashlib
import re
import unicodedata

import numpy as np

_WIDTH = 5
_BANDS, _IN_BAND = 28, 4
"""Two texts with a Jaccard index of 0.5 share a band with probability 0.84, of 0.7 with 0.9996."""
_PRIME = (1 << 61) - 1
_TOKEN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
"""A word; of Chinese, Japanese and Korean each character."""
_HAN = re.compile(r"[\u3400-\u9fff]")
_LETTER = re.compile(r"[^\W\d_]")
_CHINESE = 0.2
"""The share of Chinese characters among the letters from which a text is Chinese: code and names are in between."""


def is_in(language: str, text: str) -> bool:
    """Whether the script of a text is that of its language, `en` or `zh`; a text without letters is in any."""
    letters = len(_LETTER.findall(text))
    return not letters or (len(_HAN.findall(text)) / letters >= _CHINESE) == (language == "zh")


class NearDuplicates:
    """The texts so far. A text of fewer than five words is compared as a whole."""

    def __init__(self, threshold: float):
        """`threshold` is the Jaccard index of word 5-grams from which two texts are near duplicates."""
        self._threshold = threshold
        chance = np.random.default_rng(1)
        self._factors = chance.integers(1, 1 << 31, _BANDS * _IN_BAND, dtype=np.uint64)
        self._offsets = chance.integers(0, 1 << 31, _BANDS * _IN_BAND, dtype=np.uint64)
        self._bands: dict[tuple[int, bytes], list[int]] = {}
        self._kept: list[frozenset[int]] = []

    def add(self, text: str) -> bool:
        """Add a text; False, without adding it, if it nearly equals one that is there."""
        shingles = _shingles(text)
        bands = list(enumerate(self._signature(shingles)))
        candidates = {number for band in bands for number in self._bands.get(band, ())}
        if any(_jaccard(shingles, self._kept[number]) >= self._threshold for number in candidates):
            return False
        for band in bands:
            self._bands.setdefault(band, []).append(len(self._kept))
        self._kept.append(shingles)
        return True

    def _signature(self, shingles: frozenset[int]) -> list[bytes]:
        hashes = np.fromiter(shingles, np.uint64, len(shingles)) & np.uint64((1 << 30) - 1)
        mixed = (hashes[:, None] * self._factors + self._offsets) % np.uint64(_PRIME)
        return [band.tobytes() for band in mixed.min(axis=0).reshape(_BANDS, _IN_BAND)]


def _shingles(text: str) -> frozenset[int]:
    words = _TOKEN.findall(unicodedata.normalize("NFKC", text).casefold())
    parts = (" ".join(words[place : place + _WIDTH]) for place in range(max(1, len(words) - _WIDTH + 1)))
    return frozenset(int.from_bytes(hashlib.blake2b(part.encode(), digest_size=8).digest(), "little") for part in parts)


def _jaccard(one: frozenset[int], other: frozenset[int]) -> float:
    return len(one & other) / len(one | other)
