"""Plots the loss of a run for each step, and its reward, from the row ledger: complete even after a resume."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from burnish.reports.style import FAINT, INK, PALE, STRONG, WARM, new_figure, style_axes, write_heading

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SMOOTHED_FROM = 10
_WINDOW_SHARE = 0.05


def draw(
    visits: NDArray[np.void],
    weights: NDArray[np.float64],
    evaluations: Sequence[Sequence[float]],
    target: Path,
    per: str = "learned token",
    score: str | None = None,
) -> None:
    """Write a plot of training and validation loss.

    `visits` are the records of the row ledger, `weights` [rows] those of the training rows in the loss of a step;
    `evaluations` are (step, loss); `per` names what the loss is a mean over. With a `score`, a value of the visits that
    the training raises, its mean over the rows of each step is drawn above the loss, and the evaluations are of it.

    The value of each step is light; its centred moving average over about a twentieth of the run is dark.
    """
    steps, losses = step_losses(visits, weights)
    width, height = 8.0, 4.4 if score is None else 6.6
    figure = new_figure(width, height)
    title = f"Loss per {per}" if score is None else f"{score.capitalize()}, and loss per {per}"
    write_heading(figure, title, f"{len(steps):,} steps" if len(steps) != 1 else "1 step")
    bottom, space = 0.62 / height, 1 - 1.55 / height
    if score is None:
        axes = figure.add_axes((0.09, bottom, 0.88, space))
        _draw_curve(axes, steps, losses, evaluations)
    else:
        lower = 0.35 * space
        axes = figure.add_axes((0.09, bottom + lower + 0.4 / height, 0.88, space - lower - 0.4 / height))
        _draw_curve(axes, steps, step_means(visits, score)[steps], evaluations)
        axes.set_ylabel(score, size=9, color=FAINT)
        axes.tick_params(labelbottom=False)
        below = figure.add_axes((0.09, bottom, 0.88, lower), sharex=axes)
        _draw_curve(below, steps, losses, ())
        below.set_ylabel("loss", size=9, color=FAINT)
    figure.axes[-1].set_xlabel("step", size=9, color=FAINT)
    figure.legend(
        *axes.get_legend_handles_labels(),
        loc="upper right",
        ncols=3,
        frameon=False,
        fontsize=9.5,
        labelcolor=INK,
        bbox_to_anchor=(0.98, 1 - 0.42 / height),
        handlelength=1.4,
    )
    figure.savefig(target)


def _draw_curve(
    axes: "Axes", steps: NDArray[np.int64], values: NDArray[np.float64], evaluations: Sequence[Sequence[float]]
) -> None:
    from matplotlib.ticker import MaxNLocator

    style_axes(axes, grid="y")
    if len(steps) < _SMOOTHED_FROM:
        axes.plot(steps, values, color=STRONG, lw=1.8, marker="o", ms=3.5, label="training")
    else:
        axes.plot(steps, values, color=PALE, lw=1.0, label="training, each step")
        axes.plot(steps, smoothed(values), color=STRONG, lw=2.0, label="training, smoothed")
    if evaluations:
        axes.plot(*zip(*evaluations, strict=True), color=WARM, lw=1.5, marker="o", ms=4.5, label="validation")
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, steps=[1, 2, 5, 10]))
    axes.margins(x=0.01)


def step_means(visits: NDArray[np.void], name: str) -> NDArray[np.float64]:
    """The mean of a value over the rows of each step that have it, by step from 0 on; 0 for a step without any."""
    steps, values = visits["step"], visits[name]
    known = ~np.isnan(values)
    return np.bincount(steps, np.where(known, values, 0)) / np.maximum(np.bincount(steps, known), 1)


def step_losses(
    visits: NDArray[np.void], weights: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Steps [n] in which something was learned, and the reported loss [n] of each.

    That is the mean of the row losses, weighted by the weight of each row, or by that of the visit if it has one.
    """
    each = visits["weight"] if "weight" in (visits.dtype.names or ()) else weights[visits["row"]]
    totals = np.bincount(visits["step"], each)
    losses = np.bincount(visits["step"], visits["loss"] * each)
    steps = np.flatnonzero(totals)
    return steps, losses[steps] / totals[steps]


def smoothed(losses: NDArray[np.float64]) -> NDArray[np.float64]:
    """The centred moving average [n] of losses [n], over about a twentieth of them.

    At the ends the window is cut and a straight line is fitted to it: a mean would lag there.
    """
    count = len(losses)
    places = np.arange(count)
    half = max(2, round(_WINDOW_SHARE * count / 2))
    start, end = np.maximum(places - half, 0), np.minimum(places + half + 1, count)

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        totals = np.concatenate([[0.0], np.cumsum(values)])
        return (totals[end] - totals[start]) / (end - start)

    middle, level = (start + end - 1) / 2, mean(losses)
    variance = np.maximum((end - start) ** 2.0 - 1, 1) / 12  # of consecutive integers
    slope = (mean(places * losses) - middle * level) / variance
    return level + slope * (places - middle)
