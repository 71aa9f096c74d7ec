"""The rules of FineWeb about lines (Penedo et al. 2024, "The FineWeb Datasets", 3.6)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from burnish.data.filters.quality.sentences import CLOSING, ENDS
from burnish.data.texts import characters
from burnish.data.texts.block import Block
from burnish.data.texts.repeated import repeats
from burnish.specs.data.filters import FineWebSpec

_SHORT, _SHORT_WITHOUT_SPACES = 30, 15


@dataclass(frozen=True)
class FineWeb:
    """Drop lists and menus: pages of short lines, of lines without an end, of lines that stand there twice."""

    limits: FineWebSpec

    def __call__(self, block: Block) -> dict[str, NDArray[np.bool_]]:
        lines, limits = block.full_lines, self.limits
        has_lines = np.diff(lines.bounds) > 0
        marks = characters.members(ENDS)
        ends = marks.take(lines.last) | (characters.members(CLOSING).take(lines.last) & marks.take(lines.second_last))
        is_again = repeats(block.lines.hashes[lines.at], lines.bounds)
        longest = np.where(block.solo * 2 > block.visible, _SHORT_WITHOUT_SPACES, _SHORT)
        is_short = block.lines.lengths[lines.at] <= np.repeat(longest, np.diff(lines.bounds))
        again = lines.share_of_characters(is_again)
        return {
            "too few lines end a sentence": has_lines & (lines.share(ends) <= limits.min_lines_with_end),
            "too many short lines": lines.share(is_short) > limits.max_short_lines,
            "lines repeated too often for prose": again > limits.max_duplicate_line_characters,
        }
