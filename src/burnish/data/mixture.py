"""The parts that a dataset is mixed from: each is opened, its layout told, and its rows given, as often as needed."""

import hashlib
import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from burnish.core.context import Input
from burnish.data.dataset import is_prepared, read_rows, splits
from burnish.data.document import Row
from burnish.data.mapping import Found, Mapped, detect, map_rows, renamed
from burnish.data.reader import read
from burnish.data.record import Bad, Reading


@dataclass(frozen=True)
class Part:
    """One source: where it lies, how its rows are laid out, how many to take, the tag they carry.

    `found` is None for a prepared dataset, whose rows are canonical already and keep their splits.
    """

    name: str
    path: Path
    found: Found | None
    columns: Mapping[str, str]
    subset: str | None
    take: int | None = None
    tag: str | None = None

    def items(self, reading: Reading) -> Iterator[Mapped | Bad]:
        """Every row from the start on."""
        for item in self._mapped(reading):
            if self.tag is not None and isinstance(item, Mapped):
                item = replace(item, row=item.row | {"tag": self.tag})
            yield item

    def _mapped(self, reading: Reading) -> Iterator[Mapped | Bad]:
        if self.found is None:
            for split in splits(self.path):
                for row in read_rows(self.path, split):
                    yield Mapped(row, split)
        else:
            yield from map_rows(renamed(read(self.path, reading, self.subset), self.columns, self.name), self.found)


def open_part(
    input: Input,
    path: Path,
    format: str,
    columns: Mapping[str, str],
    subset: str | None,
    take: int | None = None,
    tag: str | None = None,
) -> Part:
    """A part of raw rows, its layout told from the first ones. DataError when it has none that is known."""
    items = renamed(read(path, Reading(), subset), columns, input.ref)
    found, _ = detect(items, input.ref, format)
    return Part(input.ref, path, found, columns, subset, take, tag)


def open_prepared(input: Input, take: int | None = None, tag: str | None = None) -> Part | None:
    """A part of rows that are prepared already, or None when the input is raw."""
    return Part(input.ref, input.path, None, {}, None, take, tag) if is_prepared(input.path) else None


class Taker:
    """Chooses `take` rows by their content's hash, so that the choice does not follow the order of the file.

    A first pass over the rows finds the hash up to which rows are taken, holding `take` numbers.
    """

    def __init__(self, part: Part, take: int):
        heap: list[int] = []  # the smallest hashes, negated: heapq keeps its least first
        for item in part.items(Reading()):
            if isinstance(item, Mapped):
                point = -_point(item.row)
                if len(heap) < take:
                    heapq.heappush(heap, point)
                elif point > heap[0]:
                    heapq.heapreplace(heap, point)
        self._most = -heap[0] if heap else 0
        self._left = take

    def __call__(self, row: Row) -> str:
        if self._left and _point(row) <= self._most:
            self._left -= 1
            return ""
        return "beyond take"


def _point(row: Row) -> int:
    return int.from_bytes(hashlib.sha256(b"take:" + row["id"].encode()).digest()[:8], "big")
