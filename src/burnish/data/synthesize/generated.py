"""What a generator of rows gives: the rows one by one, each with its split, and what there is to say of them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from burnish.data.document import Row


def _nothing() -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True)
class Generated:
    """Rows with their split. `total` is their number where it is known before, else 0.

    `stats` and `measures` are called after the last row; the keys of `stats` replace those of the same name in
    `stats.json`, those of `measures` are added to the record.
    """

    rows: Iterator[tuple[Row, str]]
    total: int = 0
    stats: Callable[[], Mapping[str, Any]] = _nothing
    measures: Callable[[], Mapping[str, Any]] = _nothing
