"""The blocks of a report: headings, text, tables and figures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from burnish.reports.style import Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Level = Literal["plain", "good", "bad", "warning"]


@dataclass(frozen=True)
class Heading:
    """A heading; level 2 is a section of the report, 3 a part of a section."""

    text: str
    level: Literal[2, 3] = 2


@dataclass(frozen=True)
class Text:
    """A paragraph, or a cell of a table. Its level is shown by a sign and by color."""

    text: str
    level: Level = "plain"


@dataclass(frozen=True)
class Table:
    """A table. The first column names the row; columns of numbers are aligned on the right."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | Text]]


@dataclass(frozen=True)
class Figure:
    """A plot. `draw(axes, style)` is called once for each style: light and dark.

    `alt` says in words what the plot shows, with its main numbers. `height` is in inches; the width is 7.2.
    """

    title: str
    draw: "Callable[[Axes, Style], None]"
    alt: str
    height: float = 3.0


Block = Heading | Text | Table | Figure
