"""Rows to look at: the first, the longest, the shortest, and some at random."""

import heapq
from typing import Any

from burnish.data.document import Row
from burnish.data.profile.reservoir import Reservoir
from burnish.data.profile.statistics import characters
from burnish.data.profile.texts import turns_of

_CHARACTERS = 2000


class Examples:
    """`count` rows of each of the four kinds, cut to 2,000 characters; one row may be of several kinds."""

    def __init__(self, count: int, seed: int):
        self._count, self._number = count, 0
        self._first: list[dict[str, Any]] = []
        self._random = Reservoir[dict[str, Any]](count, seed)
        self._longest: list[tuple[int, int, dict[str, Any]]] = []
        self._shortest: list[tuple[int, int, dict[str, Any]]] = []

    def add(self, row: Row, split: str) -> None:
        if not self._count:
            return
        size, number = characters(row), -self._number
        self._number += 1
        place = self._random.next_place()
        if len(self._first) < self._count:
            self._first.append(_shown(row, split, size))
        if place is not None:
            self._random.put(place, _shown(row, split, size))
        for heap, key in ((self._longest, size), (self._shortest, -size)):
            if len(heap) < self._count or (key, number) > heap[0][:2]:
                push = heapq.heappush if len(heap) < self._count else heapq.heapreplace
                push(heap, (key, number, _shown(row, split, size)))

    def as_dict(self) -> dict[str, list[dict[str, Any]]]:
        return {
            "first": self._first,
            "longest": [shown for *_, shown in sorted(self._longest, key=_order, reverse=True)],
            "shortest": [shown for *_, shown in sorted(self._shortest, key=_order, reverse=True)],
            "random": self._random.kept,
        }


def _order(entry: tuple[int, int, dict[str, Any]]) -> tuple[int, int]:
    return entry[:2]


def _shown(row: Row, split: str, size: int) -> dict[str, Any]:
    return {"source": row["source"], "split": split, "characters": size, "turns": turns_of(row, _CHARACTERS)}
