"""A report as GitHub-flavored Markdown, with its figures as files beside it."""

import re
from collections.abc import Iterator, Sequence

from burnish.reports.blocks import Bar, Block, Excerpt, Figure, Heading, Table, Text, Tiles
from burnish.reports.escaping import markdown_cell, markdown_text

_NUMBER = re.compile(r"[+−-]?(\d|(nan|inf)\b)")
_LABELS = {"plain": "", "good": "✓ ", "bad": "✗ ", "warning": "⚠ "}


def markdown_page(title: str, blocks: Sequence[Block], figures: Sequence[str]) -> str:
    """The report; `figures` are the file names of its figures, in order."""
    names = iter(figures)
    parts = [f"# {markdown_cell(title)}", *(_block(block, names) for block in blocks)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _block(block: Block, figures: Iterator[str]) -> str:
    match block:
        case Heading():
            return f"{'#' * block.level} {markdown_cell(block.text)}"
        case Text():
            return f"{_LABELS[block.level]}{markdown_text(block.text)}"
        case Table():
            return _table(block)
        case Figure():
            return f"**{markdown_cell(block.title)}**\n\n![{markdown_cell(block.alt)}]({next(figures)})"
        case Tiles():
            return _table(Table("", ["", "", ""], block.tiles))
        case Excerpt():
            return _table(Table(block.title, ["turn", "text"], block.turns))


def _table(table: Table) -> str:
    title = f"**{markdown_cell(table.title)}**\n\n" if table.title else ""
    numbers = [is_numeric(table, place) for place in range(len(table.columns))]
    rule = "|".join(" ---: " if number else " --- " for number in numbers)
    lines = [_line(table.columns), f"|{rule}|", *(_line(row) for row in table.rows)]
    return title + "\n".join(lines)


def _line(cells: Sequence[str | Text | Bar]) -> str:
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _cell(cell: str | Text | Bar) -> str:
    if isinstance(cell, Text):
        return _LABELS[cell.level] + markdown_cell(cell.text)
    return markdown_cell(plain_text(cell))


def plain_text(cell: str | Text | Bar) -> str:
    """What is written in a cell."""
    return cell if isinstance(cell, str) else cell.text


def is_numeric(table: Table, place: int) -> bool:
    """True for a column, other than the first, in which every filled cell starts like a number, such as `+inf`."""
    texts = [plain_text(row[place]) for row in table.rows if place < len(row)]
    filled = [text for text in texts if text not in ("", "–")]
    return place > 0 and bool(filled) and all(_NUMBER.match(text) and len(text) < 40 for text in filled)
