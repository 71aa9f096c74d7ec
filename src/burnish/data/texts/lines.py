"""What lines of a block begin and end with, and how much of a text they are."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from burnish.data.native.library import kernels
from burnish.data.texts import characters
from burnish.data.texts.segments import sums

if TYPE_CHECKING:
    from burnish.data.texts.block import Block


@dataclass(frozen=True)
class FullLines:
    """The lines of a block that are not blank."""

    at: NDArray[np.int64]
    """Their numbers among all lines [lines]."""
    bounds: NDArray[np.int64]
    """Those of text i are `bounds[i]:bounds[i + 1]` [texts + 1]."""
    visible: NDArray[np.int64]
    """Characters that are no white space [lines]."""
    first: NDArray[np.uint32]
    """The first such character [lines]."""
    last: NDArray[np.uint32]
    """The last such character [lines]."""
    second_last: NDArray[np.uint32]
    """The one before, itself where there is one only [lines]."""
    place: NDArray[np.int64]
    """Where in the block's codes the last one stands [lines]."""

    @classmethod
    def of(cls, block: "Block") -> "FullLines":
        lines = block.lines
        if built := kernels():
            visible, first, last, second, place = built.edges(
                block.codes, characters.properties(), lines.starts, lines.ends
            )
            at = np.flatnonzero(visible)
            bounds = np.searchsorted(at, lines.bounds)
            return cls(at, bounds, visible[at], first[at], last[at], second[at], place[at])
        is_visible = (block.properties & characters.SPACE) == 0
        places = np.flatnonzero(is_visible)
        total = np.zeros(is_visible.size + 1, np.int64)
        np.cumsum(is_visible, out=total[1:])
        before, until = total[lines.starts], total[lines.ends]
        at = np.flatnonzero(until > before)
        first, last = places[before[at]], places[until[at] - 1]
        second = places[np.maximum(until[at] - 2, before[at])]
        codes = block.codes
        bounds = np.searchsorted(at, lines.bounds)
        return cls(at, bounds, (until - before)[at], codes[first], codes[last], codes[second], last)

    def share(self, holds: NDArray[np.bool_]) -> NDArray[np.float64]:
        """The share of each text's lines that satisfy a condition [lines] → [texts]; 0 without lines."""
        return sums(holds, self.bounds) / np.maximum(np.diff(self.bounds), 1)

    def share_of_characters(self, holds: NDArray[np.bool_]) -> NDArray[np.float64]:
        """The share of each text's visible characters in such lines [lines] → [texts]."""
        return sums(np.where(holds, self.visible, 0), self.bounds) / np.maximum(sums(self.visible, self.bounds), 1)
