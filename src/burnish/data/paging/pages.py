"""One page of rows: as they stand in their files, or bad with the reason; of a prepared dataset as it keeps them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from burnish.data.dataset import open_split, row_count, split_file
from burnish.data.paging.index import PageIndex
from burnish.data.reader import read
from burnish.data.record import Bad, ReadReport, Record

MOST_CHARACTERS, _MOST_ON_PAGE, _LEAST = 200_000, 4_000_000, 1_000
"""Of a row on a page as JSON, and of all rows of a page; a longer one has its texts and lists cut, and says so."""
_TEXT, _ITEMS = 4_000, 100


@dataclass(frozen=True)
class Shown:
    """A row on a page: its number in the split, from 0, and its record, or why there is none."""

    number: int
    item: Record | Bad
    counts: dict[str, int]


def page(index: PageIndex, split: str, offset: int, limit: int) -> list[Shown]:
    """Rows of a split from number `offset` on, at most `limit`."""
    entries = index.splits.get(split)
    if entries is None or offset >= entries.rows:
        return []
    found: list[Shown] = []
    for entry in entries.since(offset):
        first = max(offset, entry.first)
        items = islice(index.read(entry, split), first - entry.first, None)
        for number, item in enumerate(items, start=first):
            if len(found) == limit:
                return found
            found.append(Shown(number, item, {}))
        if len(found) == limit:
            return found
    return found


def head(path: Path, split: str, offset: int, limit: int, subset: str | None, encoding: str | None) -> list[Shown]:
    """The same for the first rows of a source that has no index yet, read from its start."""

    def rows() -> Iterator[Record | Bad]:
        for item in read(path, ReadReport(encoding=encoding), subset):
            if isinstance(item, Bad) or (item.split or "train") == split:
                yield item

    return [Shown(number, item, {}) for number, item in enumerate(islice(rows(), offset, offset + limit), offset)]


def prepared_page(folder: Path, split: str, offset: int, limit: int) -> list[Shown]:
    """The same for a prepared dataset, with the tokens of each row where they were counted."""
    found: list[Shown] = []
    if offset >= row_count(folder, split):
        return found
    with open_split(split_file(folder, split)) as parquet:
        names = [name for name in ("row", "tokens", "learned") if name in parquet.schema_arrow.names]
        first = 0
        for group in range(parquet.num_row_groups):
            rows = parquet.metadata.row_group(group).num_rows
            if first + rows > offset and len(found) < limit:
                begin = max(0, offset - first)
                table = parquet.read_row_group(group, columns=names).slice(begin, limit - len(found))
                for number, line in enumerate(table.to_pylist(), start=first + begin):
                    row = json.loads(line.pop("row"))
                    found.append(Shown(number, Record(row, row["source"], split), line))
            first += rows
    return found


def fitted(value: Any, most: int = MOST_CHARACTERS) -> tuple[Any, bool]:
    """(the value, whether it was cut): one of more than `most` characters as JSON has its texts and lists cut."""
    if len(json.dumps(value, ensure_ascii=False, default=str)) <= most:
        return value, False
    return _cut(value, _TEXT if most == MOST_CHARACTERS else _LEAST // 4), True


class Budget:
    """What is left of the characters of a page: so many long rows are cut that it stays small."""

    def __init__(self, rows: int):
        self._left, self._rows = _MOST_ON_PAGE, rows

    def fitted(self, value: Any) -> tuple[Any, bool]:
        """As `fitted`, within what is left for this row."""
        most = MOST_CHARACTERS if self._left > self._rows * _LEAST else _LEAST
        shown, is_cut = fitted(value, most)
        self._left -= len(json.dumps(shown, ensure_ascii=False, default=str))
        return shown, is_cut


def as_json(shown: Shown, budget: Budget, *, whole: bool = False) -> dict[str, Any]:
    """A row of a page for the API."""
    item = shown.item
    if isinstance(item, Bad):
        bad = {"field": item.field, "reason": item.reason, "text": item.raw[:_TEXT]}
        return {"row": shown.number, "source": item.source, "value": None, "bad": bad, "cut": len(item.raw) > _TEXT}
    value, is_cut = (item.raw, False) if whole else budget.fitted(item.raw)
    return {"row": shown.number, "source": item.source, "value": value, "bad": None, "cut": is_cut, **shown.counts}


def _cut(value: Any, most: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= most else f"{value[:most]}… ({len(value) - most:,} characters more)"
    if isinstance(value, list):
        shown = [_cut(member, most // 2) for member in value[:_ITEMS]]
        return shown if len(value) <= _ITEMS else [*shown, f"… ({len(value) - _ITEMS:,} more)"]
    if isinstance(value, dict):
        return {key: _cut(member, most // 2) for key, member in list(value.items())[:_ITEMS]}
    return value
