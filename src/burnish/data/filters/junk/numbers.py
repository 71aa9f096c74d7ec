"""Tables of numbers without words."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from burnish.data.texts import characters
from burnish.data.texts.block import Block

_LETTERS, _LEAST = 0.15, 40


@dataclass(frozen=True)
class Numbers:
    """Drop texts of which more than this share of the visible characters are digits, and few are letters."""

    max_share: float

    def __call__(self, block: Block) -> dict[str, NDArray[np.bool_]]:
        visible = np.maximum(block.visible, 1)
        digits = block.count(block.properties, characters.DIGIT) / visible
        letters = block.count(block.properties, characters.LETTER) / visible
        return {"mostly numbers": (digits > self.max_share) & (letters < _LETTERS) & (visible >= _LEAST)}
