"""A running distribution of numbers in bins whose edges grow, so that memory does not."""

import math
from collections import Counter

_STEPS_PER_DOUBLING = 16
_BARS = 32


class Distribution:
    """A running distribution of numbers ≥ 0: exact count, total, least and most; percentiles to within 4.4 %.

    Numbers are counted in bins whose edges grow by 2^(1/16); memory is a few hundred bins at most.
    """

    def __init__(self) -> None:
        self.count, self.total, self.least, self.most = 0, 0, 0, 0
        self._bins: Counter[int] = Counter()

    def add(self, number: int) -> None:
        self.least = number if self.count == 0 else min(self.least, number)
        self.most = max(self.most, number)
        self.count += 1
        self.total += number
        self._bins[round(math.log2(number + 1) * _STEPS_PER_DOUBLING)] += 1

    def percentile(self, share: float) -> int:
        """The number below which this share lies (0.5: the median)."""
        left = share * self.count
        for index in sorted(self._bins):
            left -= self._bins[index]
            if left <= 0:
                return min(self.most, max(self.least, round(2 ** (index / _STEPS_PER_DOUBLING)) - 1))
        return self.most

    def histogram(self, bars: int = _BARS) -> list[list[int]]:
        """[least, most, count] of neighbouring ranges of numbers, empty ones between them included; at most `bars`."""
        if not self._bins:
            return []
        first, last = min(self._bins), max(self._bins)
        width = -(-(last - first + 1) // bars)
        counts = Counter[int]()
        for index, count in self._bins.items():
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


def _least_of(index: int) -> int:
    """The least number that falls into a bin, or where there is none between this bin and the next, above."""
    return max(0, math.ceil(2 ** ((index - 0.5) / _STEPS_PER_DOUBLING) - 1))
