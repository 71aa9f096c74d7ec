"""What burnish's filters say of texts, each filter by itself and not only the first that refuses a text."""

from collections.abc import Sequence

import numpy as np

from burnish.data.filters.language import LanguageFilter
from burnish.data.filters.table import Kind, block_filters
from burnish.data.texts.block import blocks
from burnish.specs.data import FiltersSpec


def reasons(texts: Sequence[str], spec: FiltersSpec, kind: Kind, languages: Sequence[str] = ()) -> list[list[str]]:
    """For each text `filter: reason` of every filter that refuses it; of languages too where some are given."""
    found: list[list[str]] = [[] for _ in texts]
    filters = block_filters(spec, kind)
    first = 0
    for block in blocks(texts):
        for refuse in filters:
            for reason, refused in refuse(block).items():
                for number in np.flatnonzero(refused):
                    found[first + number].append(f"{_name(refuse)}: {reason}")
        first += len(block)
    if languages:
        tell = LanguageFilter(languages, 0.5)
        for text, against in zip(texts, found, strict=True):
            if reason := tell({"kind": "text", "text": text}):
                against.append(f"languages: {reason}")
    return found


def _name(refuse: object) -> str:
    """The name of a filter, `Length` of a class `Length`."""
    return getattr(refuse, "__name__", type(refuse).__name__)
