"""Columns of a row that no format mapped, by name."""

from collections.abc import Mapping, Sequence
from typing import Any

from burnish.core.errors import DataError
from burnish.core.naming import nearest

Row = Mapping[str, Any]


def column_of(row: Row, column: str) -> Any:
    """The value of a column that no format mapped (`extra`); a dotted name reads a field of an object.

    Errors: DataError `data.missing-column`, with the columns that the row has.
    """
    extra: Mapping[str, Any] = row.get("extra") or {}
    if column in extra:
        return extra[column]
    value: Any = extra
    for part in column.split("."):
        if not isinstance(value, Mapping) or part not in value:
            raise _missing(row, column, extra)
        value = value[part]
    return value


def clusters_in(rows: Sequence[Row], column: str | None) -> list[str | None]:
    """What each row belongs to, by a column; None for a row where it is null, and without a column.

    Errors: those of `column_of`.
    """
    values = [None if column is None else column_of(row, column) for row in rows]
    return [None if value is None else str(value) for value in values]


def value_of(row: Row, column: str) -> Any:
    """The value of a column that is needed. Errors: DataError `data.missing-column` if it is null, too."""
    value = column_of(row, column)
    if value is None:
        place = str(row.get("source", ""))
        raise DataError("data.missing-column", f"the column '{column}' is null", "fill it in", place=place)
    return value


def _missing(row: Row, column: str, extra: Mapping[str, Any]) -> DataError:
    known = nearest(column, extra) if extra else "it has no columns besides its turns"
    has = f"; its columns: {', '.join(sorted(extra))}" if extra else ""
    return DataError(
        "data.missing-column",
        f"the row has no column '{column}'{has}",
        f"{known}; `burnish inspect` shows the columns of a file",
        place=str(row.get("source", "")),
    )
