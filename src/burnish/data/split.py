"""Placing rows into splits by a hash of what they ask, so that the same question never stands on both sides."""

import hashlib

from burnish.data.document import Row, prompt_key
from burnish.data.hashset import HashSet

SPLITS = ("train", "validation", "test")
COUNTED = 1000


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
        self.questions: set[bytes] = set()
        """The first COUNTED different questions that were placed: an empty split is explained by their number."""
        self._asked: dict[str, HashSet] = {}

    def place(self, row: Row) -> str:
        """The split of a row."""
        key = prompt_key(row)
        if len(self.questions) < COUNTED:
            self.questions.add(key)
        digest = hashlib.sha256(b"split:%d:" % self.seed + key).digest()
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
