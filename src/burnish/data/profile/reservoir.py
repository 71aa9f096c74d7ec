"""A random sample of a stream: every item is equally likely to be in it (Vitter 1985, algorithm R)."""

import random
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Reservoir(Generic[Item]):
    """At most `size` items, chosen with the seed."""

    def __init__(self, size: int, seed: int = 0):
        self.kept: list[Item] = []
        self._size, self._seen, self._random = size, 0, random.Random(seed)

    def next_place(self) -> int | None:
        """The place of the next item in the sample; None where it is not in it, so that it need not be made."""
        self._seen += 1
        place = self._seen - 1 if self._seen <= self._size else self._random.randrange(self._seen)
        return place if place < self._size else None

    def put(self, place: int | None, item: Item) -> None:
        if place is not None:
            self.kept[place : place + 1] = [item]
