"""A report of blocks, written as `report.md` with its figures, and as `report.html`, one file.

`report.html` has no script and makes no request. It follows the reader's light or dark color scheme, and prints in
light colors. Text of users (rows, answers, names) is escaped in both files.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from burnish.core.files import write_atomically
from burnish.reports.blocks import Block as Block
from burnish.reports.blocks import Figure as Figure
from burnish.reports.blocks import Heading as Heading
from burnish.reports.blocks import Table as Table
from burnish.reports.blocks import Text as Text
from burnish.reports.figures import in_style, svg_of
from burnish.reports.html import html_page
from burnish.reports.markdown import markdown_page
from burnish.reports.style import DARK, LIGHT


@dataclass(frozen=True)
class Document:
    """A report: its title and its blocks, in order."""

    title: str
    blocks: Sequence[Block]


def write(document: Document, folder: Path) -> None:
    """Write `report.md`, `report.html`, and each figure as `figure-N.svg` into a folder."""
    figures = [block for block in document.blocks if isinstance(block, Figure)]
    light = [svg_of(figure, LIGHT, f"light-{number}") for number, figure in enumerate(figures, 1)]
    dark = [in_style(svg, LIGHT, f"light-{number}", DARK, f"dark-{number}") for number, svg in enumerate(light, 1)]
    names = [f"figure-{number}.svg" for number in range(1, len(figures) + 1)]
    for name, svg in zip(names, light, strict=True):
        write_atomically(folder / name, svg)
    write_atomically(folder / "report.md", markdown_page(document.title, document.blocks, names))
    page = html_page(document.title, document.blocks, list(zip(light, dark, strict=True)))
    write_atomically(folder / "report.html", page)
