"""MinHash signatures of texts: of each of many permutations of all hashes, the least hash among a text's shingles.

Two texts agree in a place of their signatures with the probability that is the Jaccard similarity of their shingles
(Broder 1997); one byte of each place is kept (Li and König 2010). Texts that agree in all places of a band are
candidates (Indyk and Motwani 1998).
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from burnish.data.native.library import kernels
from burnish.data.texts.block import Block, blocks

_SEED = 1
_NONE = 0xFFFFFFFF
_EMPTY = np.zeros(0, np.uint32)
_SHINGLES_AT_ONCE = 1 << 16
"""Few enough for the processor's cache."""


class Shingles(Protocol):
    """The shingles of texts one after the other: an array, or a file of which slices are read."""

    def __getitem__(self, part: slice, /) -> NDArray[np.uint32]: ...


@dataclass(frozen=True)
class Signed:
    """Signed texts."""

    signatures: NDArray[np.uint8]
    """The lowest byte of each place [texts, bands · rows]: two places that differ agree in it once in 256 times."""
    keys: Sequence[NDArray[np.uint64]]
    """Of each band one number for each text; two texts agree in a band if their numbers are equal [bands][texts]."""
    shingles: Shingles
    bounds: NDArray[np.int64]
    """Those of text i are `shingles[bounds[i]:bounds[i + 1]]` [texts + 1]."""

    def __len__(self) -> int:
        return len(self.signatures)

    def to_arrow(self, before: int = 0) -> pa.RecordBatch:
        """All but the shingles, before which others stand where they are kept."""
        width, buffer = self.signatures.shape[1], pa.py_buffer(np.ascontiguousarray(self.signatures))
        columns = {
            "signature": pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(self), [None, buffer]),
            "shingles_end": pa.array(self.bounds[1:] + before),
            **{f"band_{i}": pa.array(keys) for i, keys in enumerate(self.keys)},
        }
        return pa.RecordBatch.from_pydict(columns)

    @classmethod
    def from_arrow(cls, batch: pa.RecordBatch, shingles: Shingles, before: int = 0) -> "Signed":
        """The inverse of `to_arrow` on a whole batch that has its columns; nothing is copied."""
        signature = batch.column("signature")
        places = np.frombuffer(signature.buffers()[1] or b"", np.uint8)
        bands = [name for name in batch.schema.names if name.startswith("band_")]
        return cls(
            places.reshape(len(batch), signature.type.byte_width),
            [batch.column(name).to_numpy() for name in bands],
            shingles,
            np.concatenate([[before], batch.column("shingles_end").to_numpy()]),
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
        if built := kernels():
            return built.signatures(shingles, bounds, factors, masks)
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

    def sign(self, texts: Sequence[str]) -> Signed:
        """The signatures of texts."""
        return self.sign_blocks(blocks(texts), np.ones(len(texts), bool))

    def sign_blocks(self, parts: Iterable[Block], chosen: NDArray[np.bool_]) -> Signed:
        """The signatures of the texts of blocks; those that are not chosen are signed as empty ones [texts]."""
        shingles, bounds = self._shingles_of(parts, chosen)
        signed = np.empty((bounds.size - 1, self.bands * self.rows), np.uint32)
        starts = np.arange(0, shingles.size + 1, _SHINGLES_AT_ONCE)
        cuts = [0, *np.unique(np.searchsorted(bounds, starts[1:])).tolist(), bounds.size - 1]
        for first, last in itertools.pairwise(cuts):
            part = bounds[first : last + 1]
            signed[first:last] = self.signatures(shingles[part[0] : part[-1]], part - part[0])
        return Signed(signed.astype(np.uint8), list(self.band_keys(signed)), shingles, bounds)

    def _shingles_of(
        self, parts: Iterable[Block], chosen: NDArray[np.bool_]
    ) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """All shingles of the chosen texts, and the bounds of each text's."""
        found, counts, before = [_EMPTY], [np.zeros(1, np.int64)], 0
        for block in parts:
            shingles, bounds = self.shingles(block)
            is_chosen, of_text = chosen[before : before + len(block)], np.diff(bounds)
            before += len(block)
            found.append(shingles if is_chosen.all() else shingles[np.repeat(is_chosen, of_text)])
            counts.append(np.where(is_chosen, of_text, 0))
        return np.concatenate(found), np.cumsum(np.concatenate(counts))
