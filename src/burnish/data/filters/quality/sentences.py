"""Ends of sentences, in scripts that put a space behind them and in those that do not."""

import numpy as np
from numpy.typing import NDArray

from burnish.data.texts import characters
from burnish.data.texts.block import Block

ENDS = ".!?…。！？｡؟۔।॥‽"
CLOSING = "\"'”’»)]）」』】"
_ALONE = "。！？｡؟۔।॥"
"""These end a sentence whatever follows."""


def sentences(block: Block) -> NDArray[np.int64]:
    """How many sentences of each text end with a mark [texts]; marks in a row are one end."""
    ends = block.has(ENDS)
    closing = block.has(CLOSING)
    space = (block.properties & characters.SPACE) != 0
    after = np.ones(ends.size, bool)  # what follows the mark is white space, or closing and then white space
    after[:-1] = space[1:]
    after[:-2] |= closing[1:-1] & space[2:]
    is_end = ends & (after | block.has(_ALONE))
    is_end[:-1] &= ~is_end[1:]
    return block.count(is_end)
