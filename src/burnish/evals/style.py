"""The style of all charts: colors, heading, axes."""

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STRONG, PALE, WARM = "#2f6fdb", "#b8c0cc", "#d9822b"
INK, FAINT = "#1f2933", "#7b8794"
GOOD, BAD = "#1b7f4b", "#b3261e"


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


def style_axes(axes: "Axes", grid: Literal["x", "y"]) -> None:
    """Remove all spines but the left one, and draw a faint grid along one axis."""
    axes.tick_params(axis="both", length=0, labelsize=8.5, labelcolor=FAINT)
    axes.grid(axis=grid, color="#e4e7eb", lw=0.8, zorder=0)
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)
    axes.spines["left"].set_color("#cbd2d9")
