"""The rows of any input as a profile reads them: each as it stands in its file, and as a canonical row."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from burnish.data.dataset import is_prepared, read_counted, splits
from burnish.data.document import Row, make_row
from burnish.data.mapping import Mapped, map_rows
from burnish.data.mixture import Part
from burnish.data.record import Bad, ReadReport, Record, RowError, cut

_HIDDEN = ("id", "source", "extra")


@dataclass(frozen=True)
class Profiled:
    """A row, the columns it has in its file, and its tokens where the dataset has them."""

    row: Row
    columns: dict[str, Any]
    split: str = "train"
    tokens: int | None = None
    learned: int = 0


def rows_of(part: Part, reading: ReadReport) -> Iterator[Profiled | Bad]:
    """Every row of a prepared dataset, or of raw rows; where those have no known layout, all their text is taken."""
    if is_prepared(part.path):
        for split in splits(part.path):
            for row, counts in read_counted(part.path, split):
                columns = {name: value for name, value in row.items() if name not in _HIDDEN} | row.get("extra", {})
                yield Profiled(row, columns, split, counts.get("tokens"), counts.get("learned", 0))
        return
    for item in part.records(reading):
        if isinstance(item, Bad):
            yield item
            continue
        (mapped,) = [_as_text(item)] if part.found is None else map_rows([item], part.found)
        if isinstance(mapped, Mapped):
            yield Profiled(mapped.row, item.raw, mapped.split or "train")
        else:
            yield mapped


def _as_text(record: Record) -> Mapped | Bad:
    text = "\n".join(_strings(record.raw))
    try:
        return Mapped(make_row("text", record.source, text=text), record.split)
    except RowError as error:
        return Bad(record.source, error.field, error.reason, cut(str(record.raw)))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for member in value.values() if isinstance(value, dict) else value:
            yield from _strings(member)
