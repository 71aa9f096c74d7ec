"""Tables for the terminal: side by side where they fit, else one line for each cell. Nothing is cut."""

from collections.abc import Collection, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

_NARROWEST = 12
"""Columns of the terminal that a column of long text needs; below that it is hard to read."""


class StackingTable:
    """A table without lines, for any width: where its columns do not fit, rows are lists of `column: value`."""

    def __init__(
        self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], unbroken: Collection[str] = ()
    ):
        self._title, self._columns, self._rows, self._unbroken = title, columns, rows, unbroken

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        table = self._side_by_side()
        needed = Measurement.get(console, options.update(max_width=10_000), table).minimum
        if needed <= options.max_width:
            yield table
            return
        if self._title:
            yield Text(self._title, "bold")
        for number, row in enumerate(self._rows):
            if number and len(self._columns) > 2:
                yield Text("")
            yield from self._lines(row)
        if not self._rows:
            yield Text(", ".join(filter(None, self._columns)) + ": none")

    def _side_by_side(self) -> Table:
        title = self._title or None
        table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
        for index, column in enumerate(self._columns):
            cells = [row[index] for row in self._rows]
            numbers = bool(cells) and all(map(_is_number, cells))
            longest = max(map(len, (column, *cells)))
            is_whole = numbers or column in self._unbroken
            table.add_column(
                column,
                justify="right" if numbers else "left",
                overflow="fold",
                no_wrap=column in self._unbroken,
                min_width=longest if is_whole else min(longest, max(len(column), _NARROWEST)),
            )
        for row in self._rows:
            table.add_row(*map(Text, row))
        return table

    def _lines(self, row: Sequence[str]) -> list[Text]:
        """`column: value`; a table of two columns without names is a list of `first: second`."""
        if not any(self._columns):
            return [Text(f"{row[0]}: ", "bold") + Text(row[1])] if len(row) == 2 else [Text(value) for value in row]
        return [
            Text(f"{column}: ", "bold") + Text(value) if column else Text(value)
            for column, value in zip(self._columns, row, strict=True)
        ]


def _is_number(text: str) -> bool:
    return text in ("–", "") or text.replace(",", "").replace(".", "").lstrip("+-−").replace("%", "").isdigit()
