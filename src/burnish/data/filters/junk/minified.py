"""Code without line ends and spaces, as packers of JavaScript and CSS write it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from burnish.data.texts import characters
from burnish.data.texts.block import Block

_LINE, _SPACES, _PUNCTUATION, _BRACKETS = 120, 0.12, 0.18, 0.045


@dataclass(frozen=True)
class Minified:
    """Drop texts of long lines with few spaces, much punctuation and many brackets."""

    def __call__(self, block: Block) -> dict[str, NDArray[np.bool_]]:
        bits, visible = block.properties, np.maximum(block.visible, 1)
        lines = np.maximum(np.diff(block.full_lines.bounds), 1)
        is_likely = block.visible >= _LINE * lines
        found = np.zeros(len(block), bool)
        if is_likely.any():
            spaces = block.count(bits, characters.SPACE) / np.maximum(block.lengths, 1)
            punctuation = (block.lengths - block.count(bits, characters.WORD | characters.SPACE)) / visible
            brackets = block.count_of("{}()[];=") / visible
            found = is_likely & (spaces < _SPACES) & (punctuation > _PUNCTUATION) & (brackets > _BRACKETS)
        return {"minified code": found}
