"""Near duplicates among texts that come one by one."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from burnish.data.dedup.minhash import Scheme
from burnish.data.dedup.near import distinct, jaccard


class NearDuplicates:
    """Remembers texts, and tells of a new one whether a near duplicate is among them.

    Memory grows with the texts: their distinct shingles, 4 bytes each.
    """

    def __init__(self, texts: Iterable[str] = (), scheme: Scheme | None = None):
        self._scheme = scheme or Scheme()
        self._bands: list[dict[int, list[int]]] = [{} for _ in range(self._scheme.bands)]
        self._shingles: list[NDArray[np.uint32]] = []
        for text in texts:
            self.add(text)

    def __len__(self) -> int:
        return len(self._shingles)

    def add(self, text: str) -> bool:
        """Remember a text unless a near duplicate is known; whether it was new. A text without words is new once."""
        signed = self._scheme.sign([text])
        shingles = distinct(signed.shingles[:])
        keys = [int(keys[0]) for keys in signed.keys]
        similar = {number for band, key in zip(self._bands, keys, strict=True) for number in band.get(key, ())}
        for number in similar:
            known = self._shingles[number]
            if jaccard(known, shingles) >= self._scheme.threshold or known.size == shingles.size == 0:
                return False
        for band, key in zip(self._bands, keys, strict=True):
            band.setdefault(key, []).append(len(self._shingles))
        self._shingles.append(shingles)
        return True
