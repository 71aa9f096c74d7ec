"""Costly judgements are made of the texts alone that a cheap bound does not acquit."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from burnish.data.texts.block import Block


def judged(likely: NDArray[np.bool_], block: Block, judge: Callable[[Block], NDArray[np.bool_]]) -> NDArray[np.bool_]:
    """The verdict on the likely texts; the others pass [texts]."""
    at = np.flatnonzero(likely)
    if at.size > len(block) / 2:
        return judge(block) & likely  # what is known of the block costs less than another one
    found = np.zeros(len(block), bool)
    if at.size:
        found[at] = judge(Block([block.texts[i] for i in at.tolist()]))
    return found
