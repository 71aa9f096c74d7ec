"""The rows that a mixture is drawn from, kept on the disk: in memory are only numbers of each row.

Which rows are drawn depends on their content and the seed, not on the order of the files: the rows of a source are in
the order of a hash, and a budget takes them from the start on. A larger budget so contains a smaller one.
"""

import hashlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from burnish.data.document import Row, canonical_json
from burnish.data.splits.files import RowFile

Unit = Literal["rows", "tokens"]
Ordinals = NDArray[np.int64]


@dataclass(frozen=True)
class Kept:
    """A row that prepare keeps: the split of its file, the remarks of its mapping, (tokens, learned tokens) and the
    number of its kept tokens where it was rendered, its source's place, and its own in a pool."""

    row: Row
    split: str = ""
    remarks: Sequence[str] = ()
    length: Sequence[int] = ()
    number: int = 0
    part: int = 0
    ordinal: int = -1


class Pool:
    """Rows of several sources, added once, and read as often as needed."""

    def __init__(self, path: Path, seed: int):
        self._file, self._seed = RowFile(path), seed
        self._points, self._parts, self._tokens = array("Q"), array("H"), array("q")

    def add(self, kept: Kept) -> None:
        """Add a row; its ordinal is the number of rows before it."""
        self._points.append(_point(kept.row, self._seed))
        self._parts.append(kept.part)
        self._tokens.append(kept.length[0] if kept.length else 0)
        self._file.write([kept.row, kept.split, list(kept.remarks), list(kept.length), kept.number, kept.part])

    def read(self) -> Iterator[Kept]:
        """Every row, in the order in which they were added."""
        for ordinal, value in enumerate(self._file.read()):
            yield Kept(*value, ordinal=ordinal)

    def __len__(self) -> int:
        return len(self._points)

    def of_source(self, part: int) -> Ordinals:
        """The ordinals of a source's rows, in the order in which they are drawn."""
        ordinals = np.flatnonzero(np.frombuffer(self._parts, np.uint16) == part) if len(self) else np.zeros(0, np.int64)
        points = np.frombuffer(self._points, np.uint64)[ordinals] if len(self) else ordinals
        return ordinals[np.argsort(points, kind="stable")]

    def size(self, ordinals: Ordinals, unit: Unit) -> int:
        """How many rows or tokens these are."""
        return len(ordinals) if unit == "rows" else int(self._sizes(ordinals).sum())

    def first(self, ordinals: Ordinals, budget: int, unit: Unit) -> Ordinals:
        """As many of the ordinals, from the start on, as the budget holds whole."""
        if unit == "rows":
            return ordinals[:budget]
        return ordinals[: int(np.searchsorted(np.cumsum(self._sizes(ordinals)), budget, side="right"))]

    def copies(self, ordinals: Ordinals, budget: int, unit: Unit, most: int) -> list[Ordinals]:
        """Rounds of these rows that fill a budget: at most `most`, each all of them, or the first ones of them."""
        rounds: list[Ordinals] = []
        while len(rounds) < most and len(again := self.first(ordinals, budget, unit)):
            rounds.append(again)
            budget -= self.size(again, unit)
            if len(again) < len(ordinals):
                break
        return rounds

    def _sizes(self, ordinals: Ordinals) -> NDArray[np.int64]:
        return np.frombuffer(self._tokens, np.int64)[ordinals] if len(self) else np.zeros(0, np.int64)


def chosen(pool: Pool, ordinals: Iterable[Ordinals]) -> NDArray[np.bool_]:
    """For each row of the pool whether it is among these."""
    flags = np.zeros(len(pool), np.bool_)
    for some in ordinals:
        flags[some] = True
    return flags


def _point(row: Row, seed: int) -> int:
    """A hash of the seed and the content: rows that differ in a column that is kept have different ones."""
    content = f"mixture:{seed}:{row['id']}:".encode()
    if extra := row.get("extra"):
        content += canonical_json(extra)
    return int.from_bytes(hashlib.sha256(content).digest()[:8], "big")
