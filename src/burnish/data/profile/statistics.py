"""What a dataset looks like, collected while its rows are read: lengths, turns, roles, kinds, a sample of languages."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from burnish.data.document import Row, every_message
from burnish.data.filters.language import language_of, spoken_text
from burnish.data.mapping import unmapped_columns
from burnish.data.profile.distribution import Distribution
from burnish.data.profile.reservoir import Reservoir

_LANGUAGE_SAMPLE = 300
_NAMES_COUNTED = 1000
_COLUMNS_SHOWN, _REMARKS_SHOWN = 12, 20


class Profile:
    """Statistics over rows; memory does not grow with their number."""

    def __init__(self, languages: int | None = None) -> None:
        """`languages` is the number of rows whose language is detected."""
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
        self._sample = Reservoir[str](languages or _LANGUAGE_SAMPLE)

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
        if (place := self._sample.next_place()) is not None:
            self._sample.put(place, spoken_text(row))

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
        languages = Counter(language_of(text) for text in self._sample.kept)
        result: dict[str, Any] = {
            "kinds": dict(self.kinds.most_common()),
            "roles": dict(self.roles.most_common()),
            "tags": dict(self.tags.most_common(100)),
            "unmapped": dict(self.unmapped.most_common(100)),
            "remarks": dict(self.remarks.most_common(100)),
            "rows_with": {key: count for key, count in self.with_.items() if count},
            "characters": self.characters.as_dict(),
            "turns": self.turns.as_dict(),
            "languages": {"sample": len(self._sample.kept), "rows": dict(languages.most_common())},
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
