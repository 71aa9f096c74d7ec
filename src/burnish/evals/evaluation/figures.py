"""Figures of an evaluation: every score with its interval."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from burnish.evals.report import BITS
from burnish.reports.blocks import Figure
from burnish.reports.excerpts import LABEL, beginning
from burnish.reports.style import Style, style_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Point:
    """A value with its interval, of one model."""

    side: str
    """`model` or `base`."""
    value: float
    low: float | None
    high: float | None

    def __str__(self) -> str:
        ends = "" if self.low is None or self.high is None else f" ({self.low:.3f} … {self.high:.3f})"
        return f"{self.value:.3f}{ends}"


def score_figures(found: Mapping[str, Any], base_name: str) -> Iterator[Figure]:
    """The scores, and bits per byte, from `report.metrics`; none for what has no finite value."""
    bits = {name: entry for name, entry in found["likelihood"].items() if name == BITS}
    if lines := _lines(found["scores"]):
        yield _figure("Scores with intervals", "score, higher is better", lines, base_name, ends=_ends(lines))
    if lines := _lines(bits):
        yield _figure("Bits per byte with interval", "bits per byte, lower is better", lines, base_name)


def tag_figure(found: Mapping[str, Any], score: str, base_name: str) -> Iterator[Figure]:
    """One score by tag."""
    sections = {tag: section["scores"][score] for tag, section in found["by_tag"].items() if score in section["scores"]}
    if len(sections) > 1 and (lines := _lines(sections)):
        label = f"{score}, higher is better"
        yield _figure(f"{score} by tag, with intervals", label, lines, base_name, ends=_ends(lines))


def _ends(lines: Mapping[str, Sequence[Point]]) -> tuple[float, float] | None:
    """0 and 1, unless a score of a task is beyond them."""
    return (0.0, 1.0) if all(0 <= point.value <= 1 for points in lines.values() for point in points) else None


def _lines(entries: Mapping[str, Any]) -> dict[str, list[Point]]:
    """The points of each line; lines without a finite value are left out."""
    points = {
        name: [_point(side, entry[side]) for side in ("base", "model") if side in entry]
        for name, entry in entries.items()
    }
    return {name: drawn for name, found in points.items() if (drawn := [point for point in found if point])}


def _point(side: str, entry: Mapping[str, Any]) -> Point | None:
    value = entry["value"]
    return (
        None if value is None or not math.isfinite(value) else Point(side, value, entry.get("low"), entry.get("high"))
    )


def _figure(
    title: str,
    label: str,
    lines: Mapping[str, Sequence[Point]],
    base_name: str,
    ends: tuple[float, float] | None = None,
) -> Figure:
    names = {"model": "model", "base": base_name}
    both = any(len(points) == 2 for points in lines.values())
    words = "; ".join(
        f"{name} " + ", ".join(f"{names[point.side] + ' ' if both else ''}{point}" for point in points)
        for name, points in lines.items()
    )
    height = 0.75 + (0.3 if both else 0) + (0.5 if both else 0.36) * len(lines)
    return Figure(title, partial(_draw, lines, label, names if both else {}, ends), words, height)


def _draw(
    lines: Mapping[str, Sequence[Point]],
    label: str,
    names: Mapping[str, str],
    ends: tuple[float, float] | None,
    axes: "Axes",
    style: Style,
) -> None:
    colors = {"model": style.strong, "base": style.faint}
    style_axes(axes, grid="x", style=style)
    labelled: set[str] = set()
    for row, points in enumerate(lines.values()):
        for place, point in enumerate(points):
            y, color = row + (place - (len(points) - 1) / 2) * 0.36, colors[point.side]
            if point.low is not None and point.high is not None:
                axes.hlines(y, point.low, point.high, color=color, lw=2.2)
            name = names.get(point.side) if point.side not in labelled else None
            labelled.add(point.side)
            axes.plot(
                [point.value], [y], "o", color=color, ms=5.5, label=None if name is None else beginning(name, LABEL)
            )
            words = {"xycoords": ("axes fraction", "data"), "va": "center", "size": 8, "color": color}
            axes.annotate(f"{point.value:.3f}", (1.01, y), **words)
    axes.set_yticks(range(len(lines)), [beginning(name, LABEL) for name in lines])
    axes.set_ylim(len(lines) - 0.5, -0.5)
    if ends is not None:
        axes.set_xlim(ends[0] - 0.02, ends[1] + 0.02)
    axes.set_xlabel(label, size=8.5, color=style.faint)
    if names:
        axes.legend(
            loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False, fontsize=8.5, labelcolor=style.ink
        )
