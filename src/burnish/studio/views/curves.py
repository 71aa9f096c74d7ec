"""The curves of a run's metrics, thinned for a page: the lowest and the highest value of each part are kept."""

import math
import threading
from collections import OrderedDict
from collections.abc import Collection, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from burnish.core.errors import AskError
from burnish.core.runs.metrics import Column, Metrics
from burnish.core.runs.run import Run
from burnish.core.runs.workspace import Workspace

FEWEST_POINTS = 8
_MOST_FILES = 16
"""Event logs whose metrics are kept in memory, for the next call: 100,000 events of 6 metrics take 7 MB."""


class _Known:
    """The metrics of the files that were asked for last; several threads may ask at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: OrderedDict[Path, tuple[threading.Lock, Metrics]] = OrderedDict()

    def columns(self, path: Path, keys: Collection[str] | None) -> dict[str, Column]:
        with self._lock:
            lock, metrics = self._files.setdefault(path, (threading.Lock(), Metrics(path)))
            self._files.move_to_end(path)
            if len(self._files) > _MOST_FILES:
                self._files.popitem(last=False)
        with lock:
            metrics.update()
            return {name: metrics.column(name) for name in metrics.names() if keys is None or name in keys}


_known = _Known()


def curve(run: Run, key: str = "loss") -> list[tuple[int, float]]:
    """(step, value) of a metric over a run; the last value of steps repeated after a resume."""
    column = _known.columns(run.events.path, (key,)).get(key)
    return [] if column is None else list(zip(column.steps, column.values, strict=True))


def curves(
    name: str = "latest",
    keys: Collection[str] | None = None,
    points: int = 2000,
    *,
    smoothing: float = 0.0,
    workspace: Path | str | None = None,
) -> list[dict[str, Any]]:
    """The metrics of each step of a run, or of the one that is named: `{"run": …, "curves": {"loss": …}}`.

    A curve has `steps`, `values`, `at` (seconds since 1970) and `count`, the points before it was thinned to at most
    `points`. Values may be NaN or infinite. `keys` names the metrics; None is all. One that is not there yet is
    left out. With a `smoothing` above 0 a curve has `smoothed` too: at each point the average over all points up to it,
    also over those that are not kept; and `weight`, that of the last average (see `average`). Errors: AskError
    `ask.no-such-run`; `ask.wrong-value` for a metric that no step has, where all succeeded; RunError
    `run.broken-record` where the events are a folder.
    """
    if not 0 <= smoothing < 1:
        raise AskError("ask.wrong-value", f"a smoothing of {smoothing} gives no average", "use one of 0 to below 1")
    if points < FEWEST_POINTS:
        fix = f"ask for {FEWEST_POINTS} points or more"
        raise AskError("ask.wrong-value", f"a curve of {points} points shows nothing", fix)
    runs = Workspace.find(workspace).find_runs(name)
    for run in runs:
        run.refuse_misplaced_logs()
    have_ended = keys is not None and all(run.state == "succeeded" for run in runs)  # before they are read
    found = [(run, _known.columns(run.events.path, keys)) for run in runs]
    if have_ended:
        _refuse_unknown(keys or (), found)
    return [
        {"run": run.name, "curves": {key: _thinned(column, points, smoothing) for key, column in columns.items()}}
        for run, columns in found
    ]


def _refuse_unknown(keys: Collection[str], found: Sequence[tuple[Run, Collection[str]]]) -> None:
    unknown = sorted(set(keys).difference(*(columns for _, columns in found)))
    if unknown:
        known = sorted({name for run, _ in found for name in _known.columns(run.events.path, None)})
        what = f"{found[0][0].name} has no metric {unknown[0]!r:.60}"
        raise AskError("ask.wrong-value", what, f"name some of {', '.join(known)}" if known else "it has no metrics")


def _thinned(column: Column, points: int, smoothing: float) -> dict[str, Any]:
    count = len(column.steps)
    kept = range(count) if count <= points else kept_points(column.values, points)
    found: dict[str, Any] = {
        "steps": [column.steps[i] for i in kept],
        "values": [column.values[i] for i in kept],
        "at": [column.at[i] for i in kept],
        "count": count,
    }
    if smoothing > 0:
        means, weight = average(column.steps, column.values, smoothing)
        found |= {"smoothed": [means[i] for i in kept], "weight": weight}
    return found


def average(steps: Sequence[int], values: Sequence[float], smoothing: float) -> tuple[list[float], float]:
    """The exponential moving average of a curve, and the weight that its last value stands on.

    The weight of what was falls by `smoothing` per step, also where steps have gaps; the start is corrected as Adam
    does. A value that is not finite is passed over; before the first finite one the average is NaN. The page has the
    same formula (`points.ts`) and goes on with it from the last average and its weight.
    """
    means: list[float] = []
    mean, weight, last = 0.0, 0.0, 0
    for step, value in zip(steps, values, strict=True):
        if math.isfinite(value):
            kept = smoothing ** max(1, step - last) if weight else 0.0
            mean = kept * mean + (1 - smoothing) * value
            weight = kept * weight + (1 - smoothing)
            last = step
        means.append(mean / weight if weight else math.nan)
    return means, weight


def kept_points(values: Sequence[float], points: int) -> list[int]:
    """The positions of at most `points` values: the first, the last, and of each of equal parts the extremes.

    Of a part with values that are not finite, the first of those is kept too.
    """
    is_finite = all(map(math.isfinite, values))
    parts = (points - 2) // (2 if is_finite else 3)
    kept = {0, len(values) - 1}
    bounds = [len(values) * part // parts for part in range(parts + 1)]
    for start, end in pairwise(bounds):
        part = values[start:end]
        if is_finite:
            kept |= {start + part.index(min(part)), start + part.index(max(part))}
        else:
            kept |= {start + i for i in _extremes(part)}
    return sorted(kept)


def _extremes(part: Sequence[float]) -> set[int]:
    finite = [i for i, value in enumerate(part) if math.isfinite(value)]
    others = [i for i, value in enumerate(part) if not math.isfinite(value)]
    ends = {min(finite, key=part.__getitem__), max(finite, key=part.__getitem__)} if finite else set[int]()
    return ends | set(others[:1])
