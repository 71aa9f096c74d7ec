"""Draws the loss of a run, step by step, from the row ledger: whole even when the run was resumed."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from burnish.train.ledger import RECORD


def draw(visits: Path, evaluations: Sequence[Sequence[float]], target: Path) -> None:
    """Write a picture of training and validation loss; `evaluations` are (step, loss)."""
    from matplotlib.figure import Figure

    records = np.fromfile(visits, RECORD)
    learned = np.bincount(records["step"], records["learned"])
    losses = np.bincount(records["step"], records["loss"] * records["learned"].astype(float))
    steps = np.flatnonzero(learned)
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot(xlabel="step", ylabel="loss per learned token")
    axes.plot(steps, losses[steps] / learned[steps], linewidth=1, label="training")
    if evaluations:
        axes.plot(*zip(*evaluations, strict=True), marker="o", markersize=3, label="validation")
        axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(target, dpi=120)
