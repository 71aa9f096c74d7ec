"""What a dataset looks like, collected while its rows are read: lengths, turns, roles, kinds, a sample of languages."""

import math
import random
from collections import Counter
from collections.abc import Iterable
from typing import Any

from burnish.data.document import Row, every_message
from burnish.data.filters.language import language_of, spoken_text
from burnish.data.mapping import unmapped_columns

_LANGUAGE_SAMPLE = 300
_STEPS_PER_DOUBLING = 16
_NAMES_COUNTED = 1000
_COLUMNS_SHOWN, _REMARKS_SHOWN = 12, 20


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


class Profile:
    """Statistics over rows; memory does not grow with their number."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.roles: Counter[str] = Counter()
        self.tags: Counter[str] = Counter()
        self.with_: Counter[str] = Counter()
        self.unmapped: Counter[str] = Counter()
        """Rows by column that no layout maps: it is kept in `extra`."""
        self.remarks: Counter[str] = Counter()
        """Rows by what the mapping changed in them."""
        self.characters, self.turns = Distribution(), Distribution()
        self.tokens, self.learned = Distribution(), Distribution()
        self._sample: list[str] = []
        self._random = random.Random(0)

    def add(self, row: Row, tokens: int | None = None, learned: int = 0, remarks: Iterable[str] = ()) -> None:
        """Count one row, with its rendered length where it is known."""
        _count(self.unmapped, unmapped_columns(row))
        _count(self.remarks, remarks)
        self.kinds[row["kind"]] += 1
        if tag := row.get("tag"):
            self.tags[tag] += 1
        messages = list(every_message(row))
        for message in messages:
            self.roles[message["role"]] += 1
        self.with_["system"] += any(m["role"] == "system" for m in messages)
        self.with_["tools"] += "tools" in row
        self.with_["tool_calls"] += any("tool_calls" in m for m in messages)
        self.with_["reasoning"] += any("reasoning_content" in m for m in messages)
        self.characters.add(characters(row))
        if messages:
            self.turns.add(len(messages))
        if tokens is not None:
            self.add_length(tokens, learned)
        if len(self._sample) < _LANGUAGE_SAMPLE:
            self._sample.append(spoken_text(row))
        elif (place := self._random.randrange(self.characters.count)) < _LANGUAGE_SAMPLE:
            self._sample[place] = spoken_text(row)  # Vitter's algorithm R: every row is equally likely to stay

    def add_length(self, tokens: int, learned: int) -> None:
        """Count the rendered length of a row."""
        self.tokens.add(tokens)
        self.learned.add(learned)

    def messages(self) -> list[str]:
        """Messages about columns and the mapping."""
        rows = self.characters.count
        shown = [
            f"{name} ({'all' if count == rows else f'{count:,} of {rows:,}'} rows)"
            for name, count in self.unmapped.most_common(_COLUMNS_SHOWN)
        ]
        more = len(self.unmapped) - len(shown)
        columns = ", ".join(shown) + (f" and {more} more" if more else "")
        sentences = [f"unmapped columns, kept in `extra` and not trained on: {columns}"] if shown else []
        return sentences + [f"{count:,} rows: {remark}" for remark, count in self.remarks.most_common(_REMARKS_SHOWN)]

    def as_dict(self) -> dict[str, Any]:
        languages = Counter(language_of(text) for text in self._sample)
        result: dict[str, Any] = {
            "kinds": dict(self.kinds.most_common()),
            "roles": dict(self.roles.most_common()),
            "tags": dict(self.tags.most_common(100)),
            "unmapped": dict(self.unmapped.most_common(100)),
            "remarks": dict(self.remarks.most_common(100)),
            "rows_with": {key: count for key, count in self.with_.items() if count},
            "characters": self.characters.as_dict(),
            "turns": self.turns.as_dict(),
            "languages": {"sample": len(self._sample), "rows": dict(languages.most_common())},
        }
        if self.tokens.count:
            result |= {"tokens": self.tokens.as_dict(), "learned": self.learned.as_dict()}
        return result


def _count(counter: Counter[str], names: Iterable[str]) -> None:
    """Count names; beyond the first thousand different ones they count as one, so that memory is bounded."""
    for name in names:
        counter[name if name in counter or len(counter) < _NAMES_COUNTED else "others"] += 1


def characters(row: Row) -> int:
    """The length of a row's text in characters: contents, reasoning and arguments of tool calls."""
    total = len(row.get("text", ""))
    for message in every_message(row):
        total += len(message["content"]) + len(message.get("reasoning_content", ""))
        total += sum(len(call["function"]["arguments"]) for call in message.get("tool_calls", ()))
    return total
