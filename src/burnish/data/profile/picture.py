"""The picture of a profile: lengths, languages and duplicates on one sheet, without any text of a row."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from burnish.data.profile.page import draw_histogram
from burnish.reports.escaping import shown
from burnish.reports.excerpts import beginning, ending
from burnish.reports.style import LIGHT, new_figure, style_axes, write_heading

_BARS, _TITLE, _NAME = 8, 60, 24


def draw_profile(found: Mapping[str, Any], path: Path) -> None:
    """Draw `profile.json` as a PNG file."""
    import matplotlib

    with matplotlib.rc_context({"text.parse_math": False}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # only the name of the source can hold one
        _draw(found, path)


def _draw(found: Mapping[str, Any], path: Path) -> None:
    figure = new_figure(11, 4.2)
    place = {"left": 0.06, "right": 0.98, "top": 0.76, "bottom": 0.16, "wspace": 0.3}
    grid = figure.add_gridspec(1, 4, width_ratios=[2, 1, 0.45, 1], **place)
    unit = "tokens" if "tokens" in found else "characters"
    subtitle = f"{found['rows']:,} rows, {found[unit]['total']:,} {unit}"
    write_heading(figure, ending(shown(found["source"]["ref"]), _TITLE), subtitle)
    lengths = figure.add_subplot(grid[0, 0])
    draw_histogram(lengths, LIGHT, found[unit]["histogram"], unit)
    languages, total = found["languages"]["rows"], max(1, found["languages"]["sample"])
    shares = {name: count / total for name, count in list(languages.items())[:_BARS]}
    _bars(figure.add_subplot(grid[0, 1]), "languages", shares)
    repeats = {f"{name} duplicates": groups["share"] for name, groups in found["duplicates"].items()}
    leaks = {f"leaks in {name}": split["share"] for name, split in list(found["leakage"].items())[:4]}
    total_rows = max(1, found["rows"] + found["bad"]["rows"])
    bad = {"bad rows": found["bad"]["rows"] / total_rows}
    _bars(figure.add_subplot(grid[0, 3]), "share of rows", repeats | leaks | bad)
    figure.savefig(path)


def _bars(axes: Any, title: str, shares: Mapping[str, float]) -> None:
    names = list(shares)
    axes.barh(range(len(names)), list(shares.values()), height=0.6, color=LIGHT.strong, zorder=2)
    for place, share in enumerate(shares.values()):
        axes.text(share, place, f" {share:.1%}", va="center", size=8.5, color=LIGHT.faint)
    axes.set_yticks(range(len(names)), [beginning(shown(name), _NAME) for name in names])
    axes.set_ylim(max(4, len(names)) - 0.4, -0.6)
    axes.set_xlim(0, max([*shares.values(), 0.01]) * 1.3)
    axes.set_xticks([])
    axes.set_title(title, size=9.5, loc="left", color=LIGHT.faint)
    style_axes(axes, "x")
