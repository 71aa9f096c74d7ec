"""Lists of words and of addresses that no text may have."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from burnish.core.errors import AskError, DataError
from burnish.data.texts.block import Block
from burnish.data.texts.phrases import Phrases

_SCHEME = re.compile(r"^(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)


def entries_of(path: Path) -> list[str]:
    """The lines of a file, without blank ones and comments. DataError `data.unreadable`."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        fix = "write a text file in UTF-8 with an entry on each line"
        raise DataError("data.unreadable", f"{path}: {error}", fix) from None
    found = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not found:
        raise DataError("data.empty", f"{path}: the list has no entries", "write an entry on each line")
    return found


@dataclass(frozen=True)
class Words:
    """Drop texts with listed words or phrases: whole words, in any case; in scripts without spaces wherever they stand.

    Punctuation between the words of a phrase does not matter.
    """

    entries: tuple[str, ...]
    min_matches: int = 1
    _phrases: Phrases = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        phrases = Phrases(self.entries)
        if phrases.wordless:
            fix = "remove it: only letters and digits are found"
            raise AskError("ask.wrong-value", f"filters.words: '{phrases.wordless[0]}' has no word", fix)
        object.__setattr__(self, "_phrases", phrases)

    def __call__(self, block: Block) -> dict[str, NDArray[np.bool_]]:
        return {"a listed word": self._phrases.counts(block) >= self.min_matches}


class Urls:
    """Drop texts with listed hosts, those below them included, or with addresses that begin as listed."""

    def __init__(self, entries: Iterable[str], min_matches: int = 1):
        self._entries = tuple(entries)
        self._min_matches = min_matches
        bare = sorted({_SCHEME.sub("", entry).removeprefix("www.").rstrip("/") for entry in self._entries})
        self._phrases = Phrases(bare)
        if "" in bare or self._phrases.wordless:
            fix = "write a host, such as example.com, or the beginning of an address"
            raise AskError("ask.wrong-value", "filters.urls: an entry names no host", fix)
        either = "|".join(map(re.escape, bare))
        # A host stands alone, or after a dot of a host below it; no longer name begins or ends so.
        self._pattern = re.compile(rf"(?<![\w-])(?:[\w-]+\.)*(?:{either})(?![\w-]|\.\w)", re.IGNORECASE)

    def __call__(self, block: Block) -> dict[str, NDArray[np.bool_]]:
        found = self._phrases.counts(block) >= self._min_matches
        for i in np.flatnonzero(found).tolist():
            matches = self._pattern.finditer(block.texts[i])
            found[i] = sum(1 for _ in zip(range(self._min_matches), matches, strict=False)) >= self._min_matches
        return {"a listed address": found}
