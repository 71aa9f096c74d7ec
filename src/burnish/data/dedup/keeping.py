"""Which row of each group of duplicates is kept: groups of equal texts, and of near duplicates among what is left."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from burnish.data.dedup.cover import cover
from burnish.data.dedup.minhash import Scheme
from burnish.data.dedup.near import MapBands, SignedTexts


@dataclass(frozen=True)
class Duplicates:
    """For each row the one that is kept for it, itself where it is kept [rows]."""

    kept: NDArray[np.int64]
    is_exact: NDArray[np.bool_]
    """Whether its text equals that of a row before it in the order of `keep`, which may be dropped itself: of equal
    texts all but one, so that their number does not depend on which row is kept."""

    @property
    def is_dropped(self) -> NDArray[np.bool_]:
        return self.kept != np.arange(self.kept.size)


def first_of_equal(hashes: Sequence[bytes] | NDArray, among: NDArray[np.bool_]) -> NDArray[np.int64]:
    """For each row the first one with its hash among those that count; itself for the others [rows]."""
    labels = np.arange(len(among))
    counted = np.flatnonzero(among)
    _, first, inverse = np.unique(np.asarray(hashes)[counted], return_index=True, return_inverse=True)
    labels[counted] = counted[first[inverse]]
    return labels


def duplicates(
    found: Sequence[pa.RecordBatch],
    keep: str,
    *,
    exact: bool,
    signed: SignedTexts | None = None,
    scheme: Scheme | None = None,
    map_bands: MapBands = map,
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> Duplicates:
    """The duplicates among rows that are kept so far.

    `found` has `is_kept`, `hash`, `characters` and `rank`; near duplicates are looked for if the texts are `signed`.
    `keep` is `first`, `longest`, or `ranked`: the greatest rank, the first of equals.
    """
    among = _column(found, "is_kept").astype(bool)
    hashes = _hashes(found)
    order = _order(found, keep, among.size)
    rows = np.arange(among.size)
    kept = rows
    if exact or signed is not None:
        kept = _first_in(order, first_of_equal(hashes, among))
    is_exact = kept != rows
    if signed is not None and scheme is not None:
        chosen = among & ~is_exact
        kept = cover(signed, scheme, order[chosen[order]], map_bands, tick)[kept]
    return Duplicates(kept, is_exact)


def _order(found: Sequence[pa.RecordBatch], keep: str, count: int) -> NDArray[np.int64]:
    """The numbers of all rows, those that are kept rather than others first."""
    if keep == "first":
        return np.arange(count)
    ranks = _column(found, "characters" if keep == "longest" else "rank").astype(np.float64)
    return np.lexsort((np.arange(count), -ranks))


def _first_in(order: NDArray[np.int64], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each row the one of its group that comes first in an order."""
    first = np.empty(labels.size, np.int64)
    first[labels[order[::-1]]] = order[::-1]
    return first[labels]


def _column(found: Sequence[pa.RecordBatch], name: str) -> NDArray:
    columns = [batch.column(name).to_numpy(zero_copy_only=False) for batch in found]
    return np.concatenate([np.zeros(0), *columns]) if columns else np.zeros(0)


def _hashes(found: Sequence[pa.RecordBatch]) -> NDArray:
    columns = [np.frombuffer(_bytes(batch.column("hash")), "V16") for batch in found]
    return np.concatenate(columns) if columns else np.zeros(0, "V16")


def _bytes(column: pa.FixedSizeBinaryArray) -> bytes:
    width = column.type.byte_width
    data = column.buffers()[1]
    return b"" if data is None else data.slice(column.offset * width, len(column) * width).to_pybytes()
