"""Pages that are little besides notices, menus and footers, and filler text."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from burnish.data.filters.junk.phrases import FILLER, MENU, NOTICES, listed
from burnish.data.texts.block import Block
from burnish.data.texts.phrases import Phrases
from burnish.data.texts.segments import sums

_LONGEST_NOTICE = 40
"""Words: a longer line that mentions cookies is a text about them."""
_OF_LINE = 0.6
"""A line is a menu if its entries are more than this share of its words."""
_ENOUGH_LINES, _ENOUGH_WORDS = 2, 20


@cache
def _tables() -> tuple[Phrases, Phrases, Phrases]:
    return Phrases(listed(NOTICES)), Phrases(listed(MENU)), Phrases(FILLER.split())


@dataclass(frozen=True)
class Boilerplate:
    """Drop texts of which more than `max_share` of the visible characters are in lines of boilerplate, and filler."""

    max_share: float
    max_filler: float

    def __call__(self, block: Block) -> dict[str, NDArray[np.bool_]]:
        _, _, filler = _tables()
        lines = block.full_lines
        is_boilerplate = boilerplate_lines(block)[lines.at]
        has_several = sums(is_boilerplate, lines.bounds) >= np.minimum(_ENOUGH_LINES, np.diff(lines.bounds))
        enough = block.words.counts >= _ENOUGH_WORDS
        return {
            "mostly boilerplate of a web site": has_several
            & (lines.share_of_characters(is_boilerplate) > self.max_share),
            "filler text (lorem ipsum)": enough & (filler.counts(block) > self.max_filler * block.words.counts),
        }


def boilerplate_lines(block: Block) -> NDArray[np.bool_]:
    """Which lines are notices or menus, among all lines [lines]."""
    notices, menu, _ = _tables()
    words, lines = block.words, block.lines
    of_line = np.searchsorted(words.starts, lines.starts)
    counts = np.diff(np.concatenate([of_line, [words.starts.size]]))
    first, _ = notices.at(block)
    found = np.zeros(lines.starts.size, bool)
    found[np.searchsorted(lines.starts, words.starts[first], side="right") - 1] = True
    found &= counts <= _LONGEST_NOTICE
    edges = np.zeros(words.starts.size + 1, np.int64)
    first, last = menu.at(block)
    np.add.at(edges, first, 1)
    np.add.at(edges, last + 1, -1)
    is_covered = np.cumsum(edges[:-1]) > 0
    covered = sums(is_covered, np.concatenate([of_line, [words.starts.size]]))
    return found | ((covered > _OF_LINE * counts) & (counts > 0))
