"""Rows chosen by the hash of their content, so that the choice does not follow the order of the file."""

import hashlib
import heapq
from collections.abc import Iterable

from burnish.data.document import Row
from burnish.data.mapping import Mapped
from burnish.data.record import Bad


class HashSampler:
    """Chooses `take` rows by their content's hash.

    A first pass over all `items` finds the hash up to which rows are taken, holding `take` numbers.
    """

    def __init__(self, items: Iterable[Mapped | Bad], take: int):
        heap: list[int] = []  # the smallest hashes, negated: heapq keeps its least first
        for item in items:
            if isinstance(item, Mapped):
                point = -_point(item.row)
                if len(heap) < take:
                    heapq.heappush(heap, point)
                elif point > heap[0]:
                    heapq.heapreplace(heap, point)
        self._most = -min(heap, default=0)
        self._left = take

    def __call__(self, row: Row) -> str:
        if self._left and _point(row) <= self._most:
            self._left -= 1
            return ""
        return "beyond take"


def _point(row: Row) -> int:
    return int.from_bytes(hashlib.sha256(b"take:" + row["id"].encode()).digest()[:8], "big")
