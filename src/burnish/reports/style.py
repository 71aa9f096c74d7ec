"""The style of all charts: colors in light and dark, heading, axes."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Style:
    """The colors of a chart or a page."""

    background: str
    ink: str
    faint: str
    """Of labels and axes; readable on the background."""
    grid: str
    stripe: str
    """Behind every other row of a table."""
    strong: str
    """The model."""
    pale: str
    """What it is compared with."""
    warm: str
    good: str
    bad: str

    @property
    def series(self) -> tuple[str, ...]:
        """Colors of several series, apart for color-blind readers (Okabe and Ito 2008)."""
        return (self.strong, self.warm, self.good, "#cc79a7", "#56b4e9", self.bad, "#b39a00", self.faint)


LIGHT = Style(
    background="#ffffff",
    ink="#1f2933",
    faint="#667380",
    grid="#e4e7eb",
    stripe="#f7f9fb",
    strong="#2f6fdb",
    pale="#b8c0cc",
    warm="#a85f14",
    good="#1b7f4b",
    bad="#b3261e",
)
DARK = Style(
    background="#14181d",
    ink="#e6eaef",
    faint="#9aa7b4",
    grid="#2c343d",
    stripe="#191e24",
    strong="#6ea0ff",
    pale="#5d6a78",
    warm="#e8a75c",
    good="#5cc98f",
    bad="#ff8a80",
)
STRONG, PALE, WARM = LIGHT.strong, LIGHT.pale, "#d9822b"
INK, FAINT = LIGHT.ink, "#7b8794"
GOOD, BAD = LIGHT.good, LIGHT.bad


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure, size in inches, that needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=144, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def write_heading(figure: "Figure", title: str, subtitle: str) -> None:
    """Write title and subtitle at the upper left; they take 0.75 inches."""
    height = figure.get_figheight()
    figure.text(0.03, 1 - 0.32 / height, title, size=13, weight="bold", color=INK, va="center")
    figure.text(0.03, 1 - 0.6 / height, subtitle, size=9.5, color=FAINT, va="center")


def style_axes(axes: "Axes", grid: Literal["x", "y"], style: Style = LIGHT) -> None:
    """Remove all spines but the left one, and draw a faint grid along one axis."""
    axes.tick_params(axis="both", length=0, labelsize=8.5, labelcolor=style.faint)
    axes.grid(axis=grid, color=style.grid, lw=0.8, zorder=0)
    axes.set_axisbelow(True)
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)
    axes.spines["left"].set_color(style.grid)
