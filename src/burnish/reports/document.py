"""A report of blocks, written as `report.md` with its figures, and as `report.html`, one file.

`report.html` has no script and makes no request. It follows the reader's light or dark color scheme, and prints in
light colors. Text of users (rows, answers, names) is escaped in both files.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from burnish.core.files import write_atomically
from burnish.reports.blocks import Bar as Bar
from burnish.reports.blocks import Block as Block
from burnish.reports.blocks import Excerpt as Excerpt
from burnish.reports.blocks import Figure as Figure
from burnish.reports.blocks import Heading as Heading
from burnish.reports.blocks import Table as Table
from burnish.reports.blocks import Text as Text
from burnish.reports.blocks import Tiles as Tiles
from burnish.reports.figures import in_style, svg_of
from burnish.reports.html import html_page
from burnish.reports.markdown import markdown_page
from burnish.reports.style import DARK, LIGHT


@dataclass(frozen=True)
class Document:
    """A report: its title and its blocks, in order."""

    title: str
    blocks: Sequence[Block]


def html_of(document: Document) -> str:
    """The report as one HTML file."""
    return html_page(document.title, document.blocks, _drawn(document))


def write(document: Document, folder: Path) -> None:
    """Write `report.md`, `report.html`, and each figure as `figure-N.svg` into a folder."""
    drawn = _drawn(document)
    names = [f"figure-{number}.svg" for number in range(1, len(drawn) + 1)]
    for name, (light, _) in zip(names, drawn, strict=True):
        write_atomically(folder / name, light)
    write_atomically(folder / "report.md", markdown_page(document.title, document.blocks, names))
    write_atomically(folder / "report.html", html_page(document.title, document.blocks, drawn))


def _drawn(document: Document) -> list[tuple[str, str]]:
    """The light and the dark SVG of each figure, in order."""
    figures = [block for block in document.blocks if isinstance(block, Figure)]
    light = [svg_of(figure, LIGHT, f"light-{number}") for number, figure in enumerate(figures, 1)]
    dark = [in_style(svg, LIGHT, f"light-{number}", DARK, f"dark-{number}") for number, svg in enumerate(light, 1)]
    return list(zip(light, dark, strict=True))
