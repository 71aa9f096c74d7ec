"""`scores.png`: a bar chart of all scores with intervals, the model next to the base, and verdicts."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burnish.reports.excerpts import ending
from burnish.reports.style import BAD, FAINT, GOOD, INK, PALE, STRONG, new_figure, style_axes, write_heading

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLORS = {"base": PALE, "model": STRONG}
_VERDICTS = {"better": GOOD, "worse": BAD, "not enough evidence": FAINT, "too few rows": FAINT}
_BAR = 0.34
_MAX_TITLE, _MAX_NAME = 60, 30


def draw_scores(found: Mapping[str, Any], title: str, path: Path, base_name: str = "base") -> None:
    """Plot `report.metrics`: scores from 0 to 1 on the left, bits per byte (lower is better) on the right.

    Empty panels are omitted; if all are empty, the chart says so. `base_name` is the legend of the model compared with.
    """
    scores = {name: entry for name, entry in found["scores"].items() if _has_values(entry)}
    likelihood = {
        name: entry for name, entry in found["likelihood"].items() if name != "perplexity" and _has_values(entry)
    }
    panels = [(panel, which) for panel, which in ((scores, "scores"), (likelihood, "bits")) if panel]
    groups = max([len(panel) for panel, _ in panels], default=1)
    is_compared = any("base" in entry for panel, _ in panels for entry in panel.values())
    height = 1.9 + (1.0 if is_compared else 0.62) * groups
    figure = new_figure(10 if len(panels) == 2 else 7, height)
    grid = figure.add_gridspec(
        1,
        max(1, len(panels)),
        width_ratios=[1.6, 1] if len(panels) == 2 else None,
        left=0.14 if len(panels) == 2 else 0.2,
        right=0.97,
        top=1 - 0.95 / height,
        bottom=0.62 / height,
        wspace=0.32,
    )
    write_heading(figure, ending(title, _MAX_TITLE), f"{found['rows']} rows, {found['confidence']:.0%} intervals")
    for position, (panel, which) in enumerate(panels):
        axes = figure.add_subplot(grid[0, position])
        _bars(axes, panel)
        axes.set_ylim(groups - 0.38, -0.55)
        _style(axes, which, _names(panel, which))
    if not panels:
        figure.text(0.5, 0.4, "no finite score", ha="center", color=FAINT)
    elif is_compared:
        _legend(figure, base_name)
    figure.savefig(path)


def _bars(axes: "Axes", panel: Mapping[str, Any]) -> None:
    highest = max(entry[side].get("high", entry[side]["value"]) for entry in panel.values() for side in _sides(entry))
    for row, entry in enumerate(panel.values()):
        sides = _sides(entry)
        for place, side in enumerate(sides):
            value, low, high = entry[side]["value"], entry[side].get("low"), entry[side].get("high")
            y = row + (place - (len(sides) - 1) / 2) * (_BAR + 0.04)
            axes.barh(y, value, height=_BAR, color=_COLORS[side], zorder=2)
            if low is not None:
                axes.hlines(y, low, high, color=INK, lw=1.3, zorder=3)
                axes.vlines([low, high], y - 0.07, y + 0.07, color=INK, lw=1.3, zorder=3)
            edge = max(value, high if high is not None else value)
            axes.text(edge + 0.015 * highest, y, f"{value:.3f}", va="center", size=9, color=INK)
        if "verdict" in entry and math.isfinite(entry["delta"]):
            text = f"{entry['delta']:+.3f}  {entry['verdict']}".replace("-", "−", 1)
            axes.text(
                0.008 * highest, row + _BAR + 0.13, text, va="center", size=8.5, color=_VERDICTS[entry["verdict"]]
            )


def _style(axes: "Axes", which: str, names: list[str]) -> None:
    style_axes(axes, grid="x")
    axes.set_yticks(range(len(names)), names, color=INK, size=10)
    if which == "scores":
        axes.set_xlim(0, 1.16)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
        axes.set_xlabel("score, higher is better", size=9, color=FAINT)
    else:
        axes.set_xlim(0, axes.dataLim.x1 * 1.28)
        axes.set_xlabel("bits per byte, lower is better", size=9, color=FAINT)


def _names(panel: Mapping[str, Any], which: str) -> list[str]:
    return [name.replace("_", " ") if which == "scores" else "bits\nper byte" for name in panel]


def _legend(figure: Any, base_name: str) -> None:
    from matplotlib.patches import Patch

    labels = {"base": ending(base_name, _MAX_NAME), "model": "model"}
    handles = [Patch(color=_COLORS[side], label=label) for side, label in labels.items()]
    figure.legend(
        handles=handles,
        loc="upper right",
        ncols=2,
        frameon=False,
        fontsize=9.5,
        labelcolor=INK,
        bbox_to_anchor=(0.98, 1 - 0.42 / figure.get_figheight()),
        handlelength=1.0,
        handleheight=1.0,
    )


def _sides(entry: Mapping[str, Any]) -> list[str]:
    values = {side: entry[side]["value"] for side in ("base", "model") if side in entry}
    return [side for side, value in values.items() if value is not None and math.isfinite(value)]


def _has_values(entry: Mapping[str, Any]) -> bool:
    return bool(_sides(entry))
