"""Base64 and hexadecimal dumps."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from burnish.data.filters.likely import judged
from burnish.data.native.library import kernels
from burnish.data.texts import characters
from burnish.data.texts.block import Block
from burnish.data.texts.segments import sums

_BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
_HEX = "0123456789abcdefABCDEF"
_RUN = 40
_LEAST_LETTERS = 0.06
"""Of the characters of hexadecimal words: numbers alone are no dump."""
_LEAST_DIGITS = 0.3
"""Of the same: words of the letters a to f are no dump."""


@dataclass(frozen=True)
class Encoded:
    """Drop texts of which more than this share of the visible characters is encoded data."""

    max_share: float

    def __call__(self, block: Block) -> dict[str, NDArray[np.bool_]]:
        least = self.max_share * np.maximum(block.visible, 1)
        digits = block.count(block.properties, characters.DIGIT)
        likely = (digits > _LEAST_DIGITS * least) & (block.count_of(_HEX) > least)
        return {
            "mostly base64": _base64(block) > least,
            "mostly hexadecimal": judged(likely, block, self._is_hexadecimal),
        }

    def _is_hexadecimal(self, block: Block) -> NDArray[np.bool_]:
        return _hexadecimal(block) > self.max_share * np.maximum(block.visible, 1)


def _base64(block: Block) -> NDArray[np.int64]:
    """Characters of runs of 40 or more without a break, with capitals, small letters and digits [texts]."""
    if built := kernels():
        table, texts = characters.members(_BASE64), (block.starts[:-1], block.starts[1:] - 1)
        return built.mixed_runs(block.codes, table, characters.properties(), *texts, _RUN)
    is_in = block.has(_BASE64)
    edges = np.diff(np.concatenate([[0], is_in.astype(np.int8), [0]]))
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    long = ends - starts >= _RUN
    starts, ends = starts[long], ends[long]
    if not starts.size:
        return np.zeros(len(block), np.int64)
    is_mixed = np.fromiter(map(_is_mixed, (block.codes[a:b] for a, b in zip(starts, ends, strict=True))), bool)
    text = np.searchsorted(block.starts, starts, side="right") - 1
    return np.bincount(text, np.where(is_mixed, ends - starts, 0), len(block)).astype(np.int64)


def _is_mixed(codes: NDArray[np.uint32]) -> bool:
    """Whether a run of base64 has capitals, small letters and digits."""
    kinds = characters.properties()[codes]
    is_upper, is_digit = (kinds & characters.UPPER) != 0, (kinds & characters.DIGIT) != 0
    return bool(is_upper.any() and is_digit.any() and not (is_upper | is_digit).all())


def _hexadecimal(block: Block) -> NDArray[np.int64]:
    """Characters of words of an even number of hexadecimal digits; none where these are decimal [texts]."""
    words = block.words
    is_hex = (block.counts_within(words, block.has(_HEX)) == words.lengths) & (words.lengths % 2 == 0)
    digits = block.counts_within(words, block.properties, characters.DIGIT)
    found = sums(np.where(is_hex, words.lengths, 0), words.bounds)
    decimal = sums(np.where(is_hex, digits, 0), words.bounds)
    return np.where((found - decimal >= _LEAST_LETTERS * found) & (decimal > _LEAST_DIGITS * found), found, 0)
