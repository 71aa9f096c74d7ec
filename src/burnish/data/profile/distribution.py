"""A running distribution of numbers in bins whose edges grow, so that memory does not."""

import math
from collections import Counter

_STEPS_PER_DOUBLING = 16
_BARS = 32
_MOST_DISTINCT = 4096
_ROUNDING = 1e-6
"""Of rows: a share of a count is a float."""


class Distribution:
    """A running distribution of numbers ≥ 0: exact count, total, least and most.

    Percentiles are exact for up to 4,096 distinct numbers. Of more, they are within 4.4 %: numbers are then counted in
    bins whose edges grow by 2^(1/16), so that memory does not grow with them.
    """

    def __init__(self) -> None:
        self.count, self.total, self.least, self.most = 0, 0, 0, 0
        self._exact: Counter[int] | None = Counter()
        self._bins: Counter[int] = Counter()

    def add(self, number: int) -> None:
        self.least = number if self.count == 0 else min(self.least, number)
        self.most = max(self.most, number)
        self.count += 1
        self.total += number
        if self._exact is None:
            self._bins[_bin_of(number)] += 1
            return
        self._exact[number] += 1
        if len(self._exact) > _MOST_DISTINCT:
            self._bins, self._exact = self._binned(), None

    def _binned(self) -> Counter[int]:
        if self._exact is None:
            return self._bins
        bins = Counter[int]()
        for number, count in self._exact.items():
            bins[_bin_of(number)] += count
        return bins

    def percentile(self, share: float) -> int:
        """The least number that this share of all does not exceed (0.5: the median)."""
        left = share * self.count
        counts = self._bins if self._exact is None else self._exact
        for place in sorted(counts):
            left -= counts[place]
            if left <= _ROUNDING:
                near = place if self._exact is not None else round(2 ** (place / _STEPS_PER_DOUBLING)) - 1
                return min(self.most, max(self.least, near))
        return self.most

    def histogram(self, bars: int = _BARS) -> list[list[int]]:
        """[least, most, count] of neighbouring ranges of numbers, empty ones between them included; at most `bars`."""
        bins = self._binned()
        if not bins:
            return []
        first, last = min(bins), max(bins)
        width = -(-(last - first + 1) // bars)
        counts = Counter[int]()
        for index, count in bins.items():
            counts[(index - first) // width] += count
        edges = [_least_of(first + place * width) for place in range((last - first) // width + 2)]
        ranges = zip(edges, edges[1:], range(len(edges)), strict=False)
        return [[low, high - 1, counts[place]] for low, high, place in ranges if high > low]

    def as_dict(self) -> dict[str, float]:
        if not self.count:
            return {"count": 0}
        return {
            "count": self.count,
            "total": self.total,
            "mean": round(self.total / self.count, 1),
            "min": self.least,
            "p50": self.percentile(0.5),
            "p90": self.percentile(0.9),
            "p99": self.percentile(0.99),
            "max": self.most,
        }


def _bin_of(number: int) -> int:
    return round(math.log2(number + 1) * _STEPS_PER_DOUBLING)


def _least_of(index: int) -> int:
    """The least number that falls into a bin, or where there is none between this bin and the next, above."""
    return max(0, math.ceil(2 ** ((index - 0.5) / _STEPS_PER_DOUBLING) - 1))
