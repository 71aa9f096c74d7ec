"""MinHash signatures of texts: of each of many permutations of all hashes, the least hash among a text's shingles.

Two texts agree in a place of their signatures with the probability that is the Jaccard similarity of their shingles
(Broder 1997). Texts that agree in all places of a band are candidates (Indyk and Motwani 1998).
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from burnish.data.texts.block import Block, blocks

_SEED = 1
_NONE = 0xFFFFFFFF
_EMPTY = np.zeros(0, np.uint32)
_SHINGLES_AT_ONCE = 1 << 16
"""Few enough for the processor's cache."""


@dataclass(frozen=True)
class Signed:
    """Signed texts."""

    signatures: NDArray[np.uint32]
    """[texts, bands · rows]"""
    keys: NDArray[np.uint64]
    """[bands, texts]"""
    shingles: NDArray[np.uint32]
    bounds: NDArray[np.int64]
    """Those of text i are `shingles[bounds[i]:bounds[i + 1]]` [texts + 1]."""

    def __len__(self) -> int:
        return len(self.signatures)

    def to_arrow(self) -> dict[str, pa.Array]:
        """Columns `signature`, `shingles`, and `band_0` and so on."""
        width, buffer = self.signatures.shape[1] * 4, pa.py_buffer(np.ascontiguousarray(self.signatures))
        return {
            "signature": pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(self), [None, buffer]),
            "shingles": pa.LargeListArray.from_arrays(pa.array(self.bounds), pa.array(self.shingles)),
            **{f"band_{i}": pa.array(keys) for i, keys in enumerate(self.keys)},
        }

    @classmethod
    def from_arrow(cls, batch: pa.RecordBatch) -> "Signed":
        """The inverse of `to_arrow` on a whole batch; nothing is copied but the keys of bands that are used."""
        signature, shingles = batch.column("signature"), batch.column("shingles")
        words = np.frombuffer(signature.buffers()[1] or b"", np.uint32)
        bands = [name for name in batch.schema.names if name.startswith("band_")]
        return cls(
            words.reshape(len(batch), signature.type.byte_width // 4),
            np.stack([batch.column(name).to_numpy() for name in bands]),
            shingles.values.to_numpy(),
            shingles.offsets.to_numpy(),
        )


@dataclass(frozen=True)
class Scheme:
    """How texts are compared: shingles of `size` words or characters, `bands` of `rows` permutations each.

    Pairs of similarity J are candidates with the probability `1 - (1 - J^rows)^bands`: 0.98 at the default threshold,
    0.9999 at 0.85. Candidates are verified, so many are no fault.
    """

    size: int = 5
    unit: Literal["words", "characters"] = "words"
    bands: int = 20
    rows: int = 6
    threshold: float = 0.75

    @cached_property
    def _permutations(self) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
        random = np.random.Generator(np.random.PCG64(_SEED))
        drawn = random.integers(0, 1 << 32, (2, self.bands * self.rows), dtype=np.uint64).astype(np.uint32)
        return drawn[0] | np.uint32(1), drawn[1]

    def shingles(self, block: Block) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """The shingles of a block's texts, and the bounds of each text's."""
        cut = block.shingles if self.unit == "words" else block.character_shingles
        hashes, bounds = cut(self.size)
        return (hashes >> np.uint64(32)).astype(np.uint32), bounds

    def signatures(self, shingles: NDArray[np.uint32], bounds: NDArray[np.int64]) -> NDArray[np.uint32]:
        """The signature of each text [texts, bands · rows]; of one without shingles all places are 2^32 - 1."""
        factors, masks = self._permutations
        found = np.full((bounds.size - 1, factors.size), _NONE, np.uint32)
        has_shingles = bounds[1:] > bounds[:-1]
        starts = bounds[:-1][has_shingles]  # the empty ones left out, each of the others ends where the next starts
        if starts.size:
            hashes = np.empty_like(shingles)
            least = np.empty((factors.size, starts.size), np.uint32)
            for place in range(factors.size):
                np.bitwise_xor(shingles, masks[place], out=hashes)
                np.multiply(hashes, factors[place], out=hashes)
                np.minimum.reduceat(hashes, starts, out=least[place])
            found[has_shingles] = least.T
        return found

    def band_keys(self, signatures: NDArray[np.uint32]) -> NDArray[np.uint64]:
        """One number for each band of a signature [bands, texts]."""
        places = signatures.reshape(len(signatures), self.bands, self.rows).astype(np.uint64)
        keys = np.zeros(places.shape[:2], np.uint64)
        for row in range(self.rows):
            keys = (keys ^ places[:, :, row]) * np.uint64(0x9E3779B97F4A7C15)
            keys ^= keys >> np.uint64(29)
        return np.ascontiguousarray(keys.T)

    def sign(self, texts: Sequence[str]) -> "Signed":
        """The signatures of texts."""
        shingles, bounds = self._shingles_of(texts)
        signed = np.empty((bounds.size - 1, self.bands * self.rows), np.uint32)
        starts = np.arange(0, shingles.size + 1, _SHINGLES_AT_ONCE)
        cuts = [0, *np.unique(np.searchsorted(bounds, starts[1:])).tolist(), bounds.size - 1]
        for first, last in itertools.pairwise(cuts):
            part = bounds[first : last + 1]
            signed[first:last] = self.signatures(shingles[part[0] : part[-1]], part - part[0])
        return Signed(signed, self.band_keys(signed), shingles, bounds)

    def _shingles_of(self, texts: Sequence[str]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """All shingles of texts, and the bounds of each text's."""
        found, counts = [_EMPTY], [np.zeros(1, np.int64)]
        for block in blocks(texts):
            shingles, bounds = self.shingles(block)
            found.append(shingles)
            counts.append(np.diff(bounds))
        return np.concatenate(found), np.cumsum(np.concatenate(counts))
