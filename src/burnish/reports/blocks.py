"""The blocks of a report: headings, text, tables, figures, numbers and excerpts of rows."""

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
class Bar:
    """A cell with a bar behind its text, as long as a share from 0 to 1."""

    text: str
    share: float


@dataclass(frozen=True)
class Table:
    """A table. The first column names the row; columns of numbers are aligned on the right."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | Text | Bar]]


@dataclass(frozen=True)
class Tiles:
    """The main numbers, side by side: (name, number, what it is of)."""

    tiles: Sequence[tuple[str, str, str]]


@dataclass(frozen=True)
class Excerpt:
    """Turns of a row, as (role, text), below a title that opens and closes them."""

    title: str
    turns: Sequence[tuple[str, str]]
    is_open: bool = False


@dataclass(frozen=True)
class Figure:
    """A plot. `draw(axes, style)` is called once for each style: light and dark.

    `alt` says in words what the plot shows, with its main numbers. `height` is in inches; the width is 7.2.
    """

    title: str
    draw: "Callable[[Axes, Style], None]"
    alt: str
    height: float = 3.0


Block = Heading | Text | Table | Figure | Tiles | Excerpt
