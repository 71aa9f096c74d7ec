"""The results of all candidates on the same rows, and the rows on which each score counts."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from burnish.evals.measure import Item
from burnish.evals.report import BITS
from burnish.evals.scoring.scorers import Score, Unscored
from burnish.evals.statistics.clusters import Labels, interval_of_mean, interval_of_ratio
from burnish.evals.statistics.intervals import Floats, Interval, is_binary, ratio
from burnish.evals.statistics.noninferiority import unseen_losses

PERPLEXITY = "perplexity"
Kind = Literal["score", "bits_per_byte", "perplexity"]


@dataclass(frozen=True)
class Candidate:
    """One candidate: what it is, and its item for each row; None where it has none."""

    name: str
    ref: str
    kind: str
    fingerprint: str
    items: Sequence[Item | None]


@dataclass(frozen=True)
class Column:
    """One score on the rows where every candidate that has it is scored.

    `values` [n, 2] are numerator and denominator of each row by candidate: the score is the ratio of their sums.
    """

    name: str
    kind: Kind
    rows: Sequence[int]
    values: Mapping[str, Floats]
    unpaired: Mapping[str, int]
    """Rows scored for this candidate and not for all."""
    unscored: Mapping[str, Mapping[str, int]]
    """Rows without a score by candidate and reason."""
    labels: Labels | None

    @property
    def higher_is_better(self) -> bool:
        return self.kind == "score"

    @property
    def units(self) -> str:
        """What is independent."""
        return "rows" if self.labels is None else "clusters"

    @property
    def is_compared(self) -> bool:
        """Perplexity depends on the tokenizer: it is shown, bits per byte are compared."""
        return self.kind != "perplexity"

    def value(self, candidate: str) -> float:
        """The measured score; perplexity is e to the mean."""
        return self._shown(float(ratio(self.values[candidate].sum(axis=0))))

    def interval(self, candidate: str, confidence: float, seed: int) -> Interval | None:
        """The interval of the score; None for too few rows."""
        values = self.values[candidate]
        if self.kind == "score":
            return interval_of_mean(values[:, 0], self.labels, confidence, seed)
        found = interval_of_ratio(values, self.labels, confidence, seed)
        return found and replace(found, low=self._shown(found.low), high=self._shown(found.high))

    def unseen(self, candidate: str, end: float, limit: float) -> float:
        """The doubled probability that rows or clusters which would bring an end of the interval to `limit` are unseen.

        They have the worst score there is (0, or 1 for an upper limit). 0 for intervals that consider it: Wilson's, and
        those of values without bounds.
        """
        values = self.values[candidate]
        if self.kind != "score" or (self.labels is None and is_binary(values[:, 0])):
            return 0.0
        worst = min(0.0, values[:, 0].min()) if end >= limit else max(1.0, values[:, 0].max())
        units = len(values) if self.labels is None else len(np.unique(self.labels))
        largest = abs(self.value(candidate) - float(worst))
        return unseen_losses(abs(end - limit), 0.0, units, largest) if largest else 1.0

    def _shown(self, value: float) -> float:
        return float(np.exp(min(value, 700.0))) if self.kind == "perplexity" else value


@dataclass(frozen=True)
class Rows:
    """Identity of the rows: `ids`, the places they come from, their tags, and their clusters (names, or None).

    `references` are those that evaluations must share; None where the id is that of the content.
    """

    ids: Sequence[str]
    sources: Sequence[str]
    tags: Sequence[str | None]
    clusters: Sequence[str | None]
    references: Sequence[str | None]
    clustered_by: str = ""
    """What names the clusters: a column, or the evaluations."""

    def __len__(self) -> int:
        return len(self.ids)

    def first(self, count: int) -> "Rows":
        return self.at(range(count))

    def at(self, places: Iterable[int]) -> "Rows":
        """The rows at these places, in that order."""
        chosen = list(places)
        parts = (self.ids, self.sources, self.tags, self.clusters, self.references)
        taken = ([part[place] for place in chosen] for part in parts)
        return Rows(*taken, clustered_by=self.clustered_by)  # pyright: ignore[reportArgumentType]


def columns_of(candidates: Sequence[Candidate], labels: Labels | None) -> list[Column]:
    """Every score that at least one candidate has, then perplexity and bits per byte; `labels` are those of the rows.

    A score without a row on which all its candidates are scored has no column.
    """
    names = dict.fromkeys(name for each in candidates for item in each.items if item for name in item.scores)
    found = [_column(name, "score", candidates, labels) for name in names]
    found += [_column(name, name, candidates, labels) for name in (PERPLEXITY, BITS)]  # pyright: ignore
    return [column for column in found if column is not None]


def _column(name: str, kind: Kind, candidates: Sequence[Candidate], labels: Labels | None) -> Column | None:
    found = {each.name: [_entry(item, name, kind) for item in each.items] for each in candidates}
    having = {who: entries for who, entries in found.items() if any(entry is not None for entry in entries)}
    rows = list(zip(*having.values(), strict=True)) if having else []
    common = [index for index, row in enumerate(rows) if all(entry is not None for entry in row)]
    if not common:
        return None
    return Column(
        name,
        kind,
        common,
        {who: np.array([entries[index] for index in common], dtype=np.float64) for who, entries in having.items()},
        {who: sum(entry is not None for entry in entries) - len(common) for who, entries in having.items()},
        {each.name: reasons_of(each.items, name) for each in candidates} if kind == "score" else {},
        None if labels is None else labels[common],
    )


def _entry(item: Item | None, name: str, kind: Kind) -> tuple[float, float] | None:
    if item is None:
        return None
    if kind == "score":
        score = item.scores.get(name)
        return (score.value, 1.0) if isinstance(score, Score) else None
    likelihood = item.likelihood
    if likelihood is None or not math.isfinite(likelihood.nats) or (kind == "bits_per_byte" and likelihood.bytes <= 0):
        return None
    if kind == "bits_per_byte":
        return float(likelihood.nats / np.log(2)), likelihood.bytes
    return likelihood.nats, likelihood.tokens


def reasons_of(items: Sequence[Item | None], name: str) -> dict[str, int]:
    """The number of rows that a scorer left unscored, by reason."""
    counts: dict[str, int] = {}
    for item in items:
        if item is not None and isinstance(score := item.scores.get(name), Unscored):
            counts[score.why] = counts.get(score.why, 0) + 1
    return counts


def left_out(candidate: Candidate) -> dict[str, int]:
    """The number of rows without a usable likelihood, by reason."""
    found = [item for item in candidate.items if item is not None]
    broken = sum(item.likelihood is not None and not math.isfinite(item.likelihood.nats) for item in found)
    counts = {
        "are longer than max_length": sum(item.too_long for item in found),
        "have a loss that is not finite": broken,
    }
    return {why: count for why, count in counts.items() if count}


def item_line(item: Item | None) -> dict[str, Any] | None:
    """What a candidate did on a row, for `items.jsonl`."""
    if item is None:
        return None
    scores = {name: score.value if isinstance(score, Score) else None for name, score in item.scores.items()}
    unscored = {name: score.why for name, score in item.scores.items() if isinstance(score, Unscored)}
    line: dict[str, Any] = {"prompt": item.prompt, "answer": item.answer, "finish_reason": item.finish_reason}
    line |= {"scores": scores, "unscored": unscored}
    if item.likelihood is not None:
        line |= {"nll": item.likelihood.nats, "tokens": item.likelihood.tokens, "bytes": item.likelihood.bytes}
    return line
