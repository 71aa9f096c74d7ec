"""Placing rows into splits by a hash of what they ask, so that the same question never stands on both sides."""

import hashlib
from dataclasses import dataclass

from burnish.data.document import Row, prompt_key

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Splitter:
    """Shares of validation and test, and the seed.

    A row's place depends on its prompt (`document.prompt_key`) and the seed alone: not on its neighbours, its order
    or the size of the file. Rows that are added later move no others. The shares are met on average.
    """

    validation: float
    test: float
    seed: int

    def place(self, row: Row) -> str:
        digest = hashlib.sha256(b"split:%d:" % self.seed + prompt_key(row)).digest()
        point = int.from_bytes(digest[:8], "big") / 2**64
        if point < self.test:
            return "test"
        return "validation" if point < self.test + self.validation else "train"
