"""Scores by training step, with a band of intervals: figures of the report, and `checkpoints.png`."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burnish.evals.evaluation.points import series
from burnish.evals.report import BITS, shown_number
from burnish.reports.blocks import Block, Figure, Text
from burnish.reports.style import LIGHT, Style, new_figure, style_axes, write_heading

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Numbers = Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]
_HEIGHT = 2.5


def point_figures(found: Mapping[str, Any]) -> Iterator[Figure]:
    """A figure for each measure, from `point_metrics`; none for fewer than two points."""
    for name, numbers in series(found["checkpoints"]).items():
        if len(numbers) > 1:
            best = found["best_checkpoints"].get(name)
            words = ", ".join(f"{_at(entry)} {shown_number(one['value'])}" for entry, one in numbers)
            draw = partial(_draw, name, numbers, None if best is None else best["step"])
            yield Figure(f"{name} by step", draw, f"{name}: {words}", _HEIGHT)


def point_blocks(found: Mapping[str, Any]) -> Iterator[Block]:
    """What the report says after the table of checkpoints, from `point_metrics`."""
    for one in found["damaged_checkpoints"]:
        yield Text(f"The checkpoint of step {one['step']} is not measured: {one['why']}", "warning")
    if figures := list(point_figures(found)):
        yield Text(
            "Each band is the interval of one point. All have the same rows: the paired tests say whether two differ."
        )
        yield from figures
    for best in found["best_checkpoints"].values():
        yield Text(best["remark"])


def draw_points(found: Mapping[str, Any], title: str, path: Path) -> None:
    """All measures below each other."""
    panels = {name: numbers for name, numbers in series(found["checkpoints"]).items() if len(numbers) > 1}
    height = 0.9 + _HEIGHT * max(1, len(panels))
    figure = new_figure(8, height)
    trained = [entry for entry in found["checkpoints"] if entry["kind"] != "base"]
    write_heading(figure, title if len(title) <= 60 else f"…{title[-59:]}", f"{len(trained)} points of one training")
    grid = figure.add_gridspec(max(1, len(panels)), 1, left=0.1, right=0.96, top=1 - 0.95 / height, bottom=0.6 / height)
    grid.update(hspace=0.5)
    for place, (name, numbers) in enumerate(panels.items()):
        best = found["best_checkpoints"].get(name)
        _draw(name, numbers, None if best is None else best["step"], figure.add_subplot(grid[place, 0]), LIGHT)
    if not panels:
        figure.text(0.5, 0.4, "fewer than two points", ha="center", color=LIGHT.faint)
    figure.savefig(path)


def _draw(name: str, numbers: Numbers, best: int | None, axes: "Axes", style: Style) -> None:
    """A line with a band; the base is a dotted line, the artifact a diamond, the best a ring."""
    from matplotlib.ticker import MaxNLocator

    style_axes(axes, grid="y", style=style)
    trained = [(entry, one) for entry, one in numbers if entry["kind"] != "base"]
    steps, values = [entry["step"] for entry, _ in trained], [one["value"] for _, one in trained]
    for entry, one in numbers:
        if entry["kind"] == "base":
            axes.axhline(one["value"], color=style.faint, lw=1.2, ls=(0, (2, 2)), label="base (step 0)")
    if all("low" in one for _, one in trained):
        low, high = ([one[end] for _, one in trained] for end in ("low", "high"))
        axes.fill_between(steps, low, high, color=style.strong, alpha=0.18, lw=0, label="interval")
    axes.plot(steps, values, "-", color=style.strong, lw=1.6, zorder=3)
    for (entry, one), value in zip(trained, values, strict=True):
        is_artifact = entry["kind"] == "artifact"
        axes.plot(
            [entry["step"]],
            [value],
            "D" if is_artifact else "o",
            color=style.strong,
            ms=7 if is_artifact else 4.5,
            zorder=4,
            label="artifact" if is_artifact else None,
        )
        if "low" in one:
            axes.vlines(entry["step"], one["low"], one["high"], color=style.strong, lw=0.9, alpha=0.6, zorder=2)
    chosen = [
        (entry["step"], value) for (entry, _), value in zip(trained, values, strict=True) if entry["step"] == best
    ]
    for step, value in chosen[-1:]:
        axes.plot(
            [step], [value], "o", mfc="none", mec=style.warm, mew=1.8, ms=13, zorder=5, label=f"best: step {step}"
        )
    axes.margins(y=0.08)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.set_xlabel("optimizer step", size=8.5, color=style.faint)
    label = f"{name.replace('_', ' ')}, {'lower' if name == BITS else 'higher'} is better"
    axes.set_title(label, size=9, color=style.ink, loc="left")
    axes.legend(
        loc="lower right",
        bbox_to_anchor=(1, 1),
        ncols=4,
        frameon=False,
        fontsize=8,
        labelcolor=style.ink,
        borderpad=0.1,
    )


def _at(entry: Mapping[str, Any]) -> str:
    return {"base": "base", "artifact": f"step {entry['step']} (artifact)"}.get(entry["kind"], f"step {entry['step']}")
