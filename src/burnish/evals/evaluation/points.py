"""The checkpoints of a training on the same rows: their scores by step, and how far the best differs from the result.

The best of k checkpoints on some rows is chosen by its luck on them, too: its score there is too high an estimate of
what it does elsewhere. Each point is compared with the result in a paired test, corrected over all points (Holm).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from burnish.core import events
from burnish.evals.measure import Item
from burnish.evals.report import BITS, Sample, compared_sides, metrics, shown_number
from burnish.evals.scoring.scorers import Row
from burnish.evals.statistics.holm import corrected
from burnish.evals.statistics.paired import Comparison

POINTS = "Checkpoints"
"""The title of their table."""
Kind = Literal["base", "checkpoint", "artifact"]


@dataclass(frozen=True)
class Point:
    """A model of the training, and its results on the rows."""

    step: int
    kind: Kind
    ref: str
    fingerprint: str
    items: Sequence[Item]

    @property
    def name(self) -> str:
        return {"base": "base", "artifact": f"step {self.step} (artifact)"}.get(self.kind, f"step {self.step}")


@dataclass(frozen=True)
class Points:
    """All points of one training, by step; `damaged` are the checkpoints that could not be measured, with why."""

    rows: Sequence[Row]
    points: Sequence[Point]
    damaged: Mapping[int, str]
    confidence: float
    seed: int

    @property
    def trained(self) -> list[Point]:
        """Without the base."""
        return [point for point in self.points if point.kind != "base"]

    @property
    def result(self) -> Point:
        """The artifact, or the newest checkpoint of a run without one."""
        return next((point for point in self.points if point.kind == "artifact"), self.points[-1])


@dataclass(frozen=True)
class Best:
    """The best point by one measure, and its comparison with the result; None where it is the result."""

    measure: str
    point: Point
    value: float
    result: Point
    compared: int
    """The number of points compared with the result."""
    comparison: Comparison | None
    is_level: bool = False
    """Whether every point has the same value: none is the best."""
    base: float | None = None
    """The value of the base, which is not among the points that are chosen from."""

    def sentence(self) -> str:
        """What the choice says, and what it does not."""
        return self._of_choice() + ("" if self.base is None else f" The base has {shown_number(self.base)}.")

    def _of_choice(self) -> str:
        start = f"{self.measure}: the best of {self.compared + 1} is {self.point.name} with {shown_number(self.value)}"
        if self.is_level:
            all_of_them = f"all {self.compared + 1} have" if self.compared else "the only point has"
            return f"{self.measure}: {all_of_them} {shown_number(self.value)}."
        if self.comparison is None:
            return f"{start}, the {'result of the training' if self.result.kind == 'artifact' else 'newest'}."
        found = self.comparison
        start += f", and {self.result.name} has {shown_number(found.base)}."
        ends = found.interval
        between = "" if ends is None else f", interval {ends.low:+.3f} … {ends.high:+.3f}"
        facts = f"{found.delta:+.3f}{between}, p {found.p_corrected:.3g} corrected for {self.compared} comparisons"
        if found.verdict in ("better", "worse"):
            difference = f"The difference is beyond chance ({facts})"
        else:
            difference = f"That is {found.verdict} for a difference ({facts})"
        luck = "the best of several is chosen by its luck on these rows, so its score here is too high an estimate"
        return f"{start} {difference}; {luck}: confirm it on other rows before you use it."


def point_metrics(found: Points) -> dict[str, Any]:
    """`checkpoints`, `best_checkpoints` and `damaged_checkpoints` for metrics.json."""
    entries = [
        {
            "step": point.step,
            "kind": point.kind,
            "ref": point.ref,
            "fingerprint": point.fingerprint,
            **_section(found, point),
        }
        for point in found.points
    ]
    best = {one.measure: _as_json(one) for one in best_points(found)}
    damaged = [{"step": step, "why": why} for step, why in found.damaged.items()]
    return {"checkpoints": entries, "best_checkpoints": best, "damaged_checkpoints": damaged}


def point_measures(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers for the artifact's record, from `point_metrics`."""
    trained = [entry for entry in metrics["checkpoints"] if entry["kind"] != "base"]
    chosen = {name: one["step"] for name, one in metrics["best_checkpoints"].items()}
    best = {f"{name}_best_step": step for name, step in chosen.items() if step is not None}
    return {"checkpoints": len(trained), "damaged_checkpoints": len(metrics["damaged_checkpoints"]), **best}


def series(entries: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[Mapping[str, Any], Mapping[str, Any]]]]:
    """(entry, numbers) by measure, from the `checkpoints` of `point_metrics`; only entries that have a value."""
    found: dict[str, list[tuple[Mapping[str, Any], Mapping[str, Any]]]] = {}
    for entry in entries:
        bits = {name: numbers for name, numbers in entry["likelihood"].items() if name == BITS}
        for name, numbers in {**entry["scores"], **bits}.items():
            if numbers["value"] is not None:
                found.setdefault(name, []).append((entry, numbers))
    return found


def best_points(found: Points) -> Iterator[Best]:
    """The best trained point by each measure. Of equal ones the result, else the latest."""
    others = [point for point in found.trained if point is not found.result]
    table: dict[str, list[tuple[Point, Comparison]]] = {}
    for point in others:
        sample = Sample(found.rows, point.items, found.result.items, found.confidence, found.seed)
        for comparison in compared_sides(sample):
            table.setdefault(comparison.name, []).append((point, comparison))
    alone = _section(found, found.result)
    base = next((_section(found, point) for point in found.points if point.kind == "base"), None)
    for name, numbers in {**alone["scores"], **alone["likelihood"]}.items():
        if name == "perplexity" or numbers["value"] is None:
            continue
        compared = table.get(name, [])
        tested = corrected([comparison for _, comparison in compared], found.confidence)
        is_level = all(comparison.delta == 0 for comparison in tested)
        best = Best(name, found.result, numbers["value"], found.result, len(tested), None, is_level)
        for (point, _), comparison in zip(compared, tested, strict=True):
            gain = comparison.delta if comparison.higher_is_better else -comparison.delta
            before = 0.0
            if best.comparison is not None:
                before = best.comparison.delta if comparison.higher_is_better else -best.comparison.delta
            if gain > 0 and gain >= before:
                best = Best(name, point, comparison.candidate, found.result, len(tested), comparison)
        yield replace(best, base=_value(base, name))


def _value(section: Mapping[str, Any] | None, name: str) -> float | None:
    """The value of a measure in a section; None if there is none."""
    numbers = {} if section is None else {**section["scores"], **section["likelihood"]}
    return numbers[name]["value"] if name in numbers else None


def point_table(entries: Sequence[Mapping[str, Any]]) -> events.Table:
    """The table for the terminal and the report, from the `checkpoints` of `point_metrics`."""
    measures = series(entries)
    lines: list[list[str]] = []
    for entry in entries:
        by_name = {name: numbers for name, points in measures.items() for of, numbers in points if of is entry}
        shown = {"base": "0 (base)", "artifact": f"{entry['step']} (artifact)"}.get(entry["kind"], str(entry["step"]))
        lines.append([shown, *(_cell(by_name.get(name)) for name in measures)])
    return events.Table(title=POINTS, columns=["step", *measures], rows=lines)


def _section(found: Points, point: Point) -> dict[str, Any]:
    """The scores and the likelihood of a point, each with its interval."""
    every = metrics(Sample(found.rows, point.items, None, found.confidence, found.seed))
    return {part: {name: entry["model"] for name, entry in every[part].items()} for part in ("scores", "likelihood")}


def _as_json(best: Best) -> dict[str, Any]:
    step = None if best.is_level else best.point.step
    found: dict[str, Any] = {"step": step, "value": best.value, "result": best.result.step}
    found["compared"] = best.compared
    if best.comparison is not None:
        one = best.comparison
        found |= {"delta": one.delta, "test": one.test, "p_value": one.p_value, "p_corrected": one.p_corrected}
        found |= {"verdict": one.verdict, "paired_rows": one.n}
        if one.interval is not None:
            found |= {"delta_low": one.interval.low, "delta_high": one.interval.high}
    return found | {"remark": best.sentence()}


def _cell(numbers: Mapping[str, Any] | None) -> str:
    if numbers is None:
        return "–"
    ends = f" ({shown_number(numbers['low'])} … {shown_number(numbers['high'])})" if "low" in numbers else ""
    return f"{shown_number(numbers['value'])}{ends}"
