"""Column-wise JSON: one object whose values are the columns, as lists or, as pandas writes them, by row number."""

from typing import Any, cast


def columns_of(value: Any) -> dict[str, list[Any]] | None:
    """The columns of a column-wise table; None where the object is a row, such as one whose lists are turns."""
    if not isinstance(value, dict) or not value:
        return None
    table = cast(dict[str, Any], value)
    if all(isinstance(column, dict) and _is_numbered(column) for column in table.values()):
        table = {name: list(column.values()) for name, column in table.items()}
    lists = {name: column for name, column in table.items() if isinstance(column, list) and column}
    if len(lists) < len(table) or any(_is_conversation(column) for column in lists.values()):
        return None
    only_objects = all(isinstance(cell, dict) for column in lists.values() for cell in column)
    return None if only_objects else lists


def lengths_differ(columns: dict[str, list[Any]]) -> str:
    """Why columns are not a table; empty where they are one."""
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) == 1:
        return ""
    return f"its columns have different lengths: {', '.join(f'{name} {length:,}' for name, length in lengths.items())}"


def _is_numbered(column: dict[str, Any]) -> bool:
    return bool(column) and list(column) == [str(i) for i in range(len(column))]


def _is_conversation(column: list[Any]) -> bool:
    return all(isinstance(turn, dict) and ("role" in turn or "from" in turn) for turn in column)
