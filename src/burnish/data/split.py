"""Placing rows into splits by a hash of what they ask, so that the same question never stands on both sides."""

import hashlib

from burnish.data.document import Row, prompt_key
from burnish.data.hashset import HashSet

SPLITS = ("train", "validation", "test")


class Splitter:
    """Shares of validation and test, and the seed.

    A row's place depends on its prompt (`document.prompt_key`) and the seed alone: not on its neighbours, its order
    or the size of the file. Rows that are added later move no others. The shares are met on average.
    """

    def __init__(self, validation: float, test: float, seed: int):
        self.validation, self.test, self.seed = validation, test, seed
        self.wanted = [name for name, share in (("validation", validation), ("test", test)) if share]
        self.leaks = 0
        """Rows whose prompt stands in another split, too: only a source with splits of its own has any."""
        self._asked: dict[str, HashSet] = {}

    def place(self, row: Row) -> str:
        """The split of a row."""
        digest = hashlib.sha256(b"split:%d:" % self.seed + prompt_key(row)).digest()
        point = int.from_bytes(digest[:8], "big") / 2**64
        if point < self.test:
            return "test"
        return "validation" if point < self.test + self.validation else "train"

    def split_of(self, row: Row, given: str) -> str:
        """The split of a row of a source that may have splits of its own: held-out rows stay, the rest is placed."""
        split = given if given in ("validation", "test") else self.place(row)
        if given:
            key = int.from_bytes(prompt_key(row), "big")
            self.leaks += any(key in seen for other, seen in self._asked.items() if other != split)
            self._asked.setdefault(split, HashSet()).add(key)
        return split
