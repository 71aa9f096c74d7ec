"""The filters that the settings ask for, in the order in which their reasons are counted."""

from typing import Literal

from burnish.data.filters import BlockFilter
from burnish.data.filters.length import Length
from burnish.specs.data import FiltersSpec

Kind = Literal["document", "conversation"]
"""What a row is: of a document its text is judged, of a conversation all its turns, joined by blank lines."""
_MIN_WORDS = {"document": 5, "conversation": 0}


def block_filters(spec: FiltersSpec, kind: Kind) -> list[BlockFilter]:
    """The filters of rows of a kind. Each can be pickled."""
    return [make for make in [_length(spec, kind)] if make is not None]


def _length(spec: FiltersSpec, kind: Kind) -> BlockFilter | None:
    if (length := spec.length) is None:
        return None
    min_words = _MIN_WORDS[kind] if length.min_words == "auto" else length.min_words
    return Length(length.min_characters, length.max_characters, min_words, length.max_words)
