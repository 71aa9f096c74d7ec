"""The protocol of a format, on one screen: a name, the columns it cannot do without, whether a row fits, the mapping.

`fits` gives the reason why a raw row looks like this format, or nothing; it must be cheap and must not raise.
`read` gives the canonical row, or raises RowError with the field that is wrong.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from burnish.data.document import Row
from burnish.data.record import RowError, kind_of

Raw = dict[str, Any]


@dataclass(frozen=True)
class Format:
    """`needs` are the columns without which no row can be read. A weak format is taken only when no other fits."""

    name: str
    needs: tuple[str, ...]
    fits: Callable[[Raw], str]
    read: Callable[[Raw, str], Row]
    weak: bool = False


def rest_of(raw: Raw, *used: str) -> dict[str, Any]:
    """The columns that a format does not map and that hold something: they are kept in `extra`."""
    return {key: value for key, value in raw.items() if key not in used and value is not None}


def text_of(raw: Raw, column: str, empty: bool = False) -> str:
    """A column's text; RowError when it is missing, no text, or empty though it may not be."""
    if column not in raw:
        raise RowError(column, f"the column '{column}' is missing")
    value = raw[column]
    if value is None and empty:
        return ""
    if not isinstance(value, str):
        raise RowError(column, f"the column must be a text, not {kind_of(value)}")
    if not value.strip() and not empty:
        raise RowError(column, "the text is empty")
    return value


def tag_of(raw: Raw) -> str | None:
    """The `tag` column, where it is a text."""
    tag = raw.get("tag")
    return tag if isinstance(tag, str) and tag else None


def is_text(raw: Raw, *columns: str) -> bool:
    """Every one of these columns is there and holds text."""
    return all(isinstance(raw.get(column), str) for column in columns)
