"""How well duplicates were removed from the corpus: recall of what was planted, precision by exact Jaccard."""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpora.shingles import jaccard, shingles

BANDS = ((1.0, 1.01, "1"), (0.9, 1.0, "0.9–1"), (0.8, 0.9, "0.8–0.9"), (0.7, 0.8, "0.7–0.8"), (0.0, 0.7, "< 0.7"))
PARTNER = 0.7
"""A removed document needs one that was kept with at least this Jaccard similarity."""
_SHARED, _CANDIDATES, _LONGEST = 5, 30, 3_000


@dataclass
class Score:
    documents: int
    kept: int
    recall: dict[str, float]
    """By band of exact Jaccard, by kind of copy and for Chinese (both from 0.8 on): the share of planted pairs of
    which not both are kept. Below the threshold little should be removed."""
    pairs: dict[str, int]
    precision: float | None
    """The share of removed documents with a kept one at 0.7 or more; None where nothing was removed."""
    precision_of_any: float | None
    """The same with one that may be removed too: chains of similar documents count as right here."""

    def as_json(self) -> dict[str, Any]:
        return {**self.__dict__, "removed": self.documents - self.kept}


class Corpus:
    """A built corpus, or the shards of it in `shards`."""

    def __init__(self, folder: Path, shards: Collection[int] | None = None):
        truth = list(map(json.loads, (folder / "truth.jsonl").read_text(encoding="utf-8").splitlines()))
        chosen = [number for number, row in enumerate(truth) if shards is None or row["shard"] in shards]
        self.truth = [truth[number] for number in chosen]
        self.numbers = {row["id"]: number for number, row in enumerate(self.truth)}
        self._sketches = np.load(folder / "sketches.npy")[chosen]
        self._texts: dict[str, str] = {}
        for path in sorted((folder / "rows").glob("*.jsonl")):
            if shards is None or int(path.stem) in shards:
                with path.open(encoding="utf-8") as file:
                    self._texts.update((row["id"], row["text"]) for row in map(json.loads, file))
        self._shingles = lru_cache(maxsize=50_000)(lambda number: shingles(self._texts[self.truth[number]["id"]]))
        self._partners: dict[int, list[tuple[int, float]]] = {}
        self._order, self._values = self._index()

    def score(self, kept: Collection[str]) -> Score:
        """`kept`: the ids that a tool left; an id that is not of the corpus is an error."""
        kept = set(kept)
        if unknown := kept - self.numbers.keys():
            raise ValueError(f"{len(unknown)} ids are not of this corpus, such as {sorted(unknown)[0]}")
        recall, pairs = self._recall(kept)
        removed = [number for number, row in enumerate(self.truth) if row["id"] not in kept]
        alike = [[other for other, _ in self.partners(number)] for number in removed]
        right = sum(any(self.truth[other]["id"] in kept for other in others) for others in alike)
        shares = [count / len(removed) if removed else None for count in (right, sum(map(bool, alike)))]
        return Score(len(self.truth), len(kept), recall, pairs, *shares)

    def partners(self, number: int) -> list[tuple[int, float]]:
        """Documents with at least 0.7 of exact Jaccard similarity to this one, found by their sketches."""
        if number not in self._partners:
            found = [(other, jaccard(self._shingles(number), self._shingles(other))) for other in self._near(number)]
            self._partners[number] = [(other, similarity) for other, similarity in found if similarity >= PARTNER]
        return self._partners[number]

    def _recall(self, kept: Collection[str]) -> tuple[dict[str, float], dict[str, int]]:
        found: dict[str, int] = defaultdict(int)
        pairs: dict[str, int] = defaultdict(int)
        for row in self.truth:
            if row["base"] in self.numbers:
                is_found = not (row["id"] in kept and row["base"] in kept)
                for name in _names(row):
                    pairs[name] += 1
                    found[name] += is_found
        return {name: found[name] / count for name, count in pairs.items()}, dict(pairs)

    def _index(self) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
        """The documents of all sketch values, and these, sorted by value."""
        values = self._sketches.ravel()
        order = np.argsort(values, kind="stable")
        return order // self._sketches.shape[1], values[order]

    def _near(self, number: int) -> Iterator[int]:
        sketch = np.unique(self._sketches[number])
        sketch = sketch[sketch != np.iinfo(np.uint64).max]
        firsts, lasts = (np.searchsorted(self._values, sketch, side) for side in ("left", "right"))
        shared: Counter[int] = Counter()
        for first, last in zip(firsts, lasts, strict=True):
            shared.update(self._order[first : min(last, first + _LONGEST)].tolist())
        del shared[number]
        least = min(_SHARED, max(1, len(sketch) // 3))
        base = self.numbers.get(self.truth[number]["base"])
        yield from [] if base is None else [base]
        yield from (other for other, count in shared.most_common(_CANDIDATES) if count >= least and other != base)


def _names(row: dict[str, Any]) -> Iterator[str]:
    yield next(name for low, high, name in BANDS if low <= row["jaccard"] < high)
    if row["jaccard"] >= 0.8:
        yield row["kind"]
        if row["language"] == "zh":
            yield "Chinese"
