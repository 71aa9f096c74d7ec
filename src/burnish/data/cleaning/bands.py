"""The pairs of each band, found by any pool in the files of the chunks."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from burnish.data.cleaning.files import Found
from burnish.data.cleaning.pools import Pool
from burnish.data.dedup.minhash import Scheme
from burnish.data.dedup.near import BandPairs, Pairs


def map_bands(pool: Pool, folder: Path, scheme: Scheme) -> Callable[..., Iterator[Pairs]]:
    """`map` for `dedup.near.groups`: the function is made where it is needed, from the files of the chunks."""

    def mapped(function: BandPairs, bands: range) -> Iterator[Pairs]:
        make = partial(_band_pairs, folder, scheme, function.order)
        return (pairs for _, pairs in pool.map(make, bands))

    return mapped


def _band_pairs(folder: Path, scheme: Scheme, order: NDArray[np.int64]) -> BandPairs:
    return BandPairs(Found(folder).signed(), scheme, order)
