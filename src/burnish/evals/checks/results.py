"""The results of checks by kind: shares with Wilson's intervals, as metrics, table and measures."""

from collections.abc import Mapping, Sequence
from typing import Any

from burnish.evals.checks.kinds import KINDS, failures
from burnish.evals.measure import Item
from burnish.evals.report import Sample
from burnish.evals.scoring.scorers import Row, opening, visible
from burnish.evals.statistics.intervals import wilson


def check_metrics(sample: Sample) -> dict[str, Any]:
    """`{kind: {n, passed, low, high}}` over the answered prompts; that of the base is under `base`.

    `passed` is a number of prompts, `low` and `high` are the ends of the interval of the share.
    """
    sides = {side: _by_kind(sample.rows, items, sample.confidence) for side, items in sample.sides.items()}
    found: dict[str, Any] = {}
    for kind in KINDS:
        if entry := sides["model"].get(kind):
            base = sides.get("base", {}).get(kind)
            found[kind] = entry if base is None else entry | {"base": base}
    return found


def check_table(metrics: Mapping[str, Any], base_name: str) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of the table by kind, from `check_metrics`."""
    is_compared = any("base" in entry for entry in metrics.values())
    columns = ["check", "prompts", "passed", "interval", *([base_name, "interval"] if is_compared else [])]
    rows: list[list[str]] = []
    for kind, entry in metrics.items():
        row = [kind, str(entry["n"]), *_cells(entry)]
        if is_compared:
            row += _cells(entry["base"]) if "base" in entry else ["–", ""]
        rows.append(row)
    return columns, rows


def check_measures(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The shares for the artifact's record, from `check_metrics`."""
    shares = {f"checks_{kind}": entry["passed"] / entry["n"] for kind, entry in metrics.items()}
    base = {kind: entry["base"] for kind, entry in metrics.items() if "base" in entry}
    return shares | {f"checks_{kind}_base": entry["passed"] / entry["n"] for kind, entry in base.items()}


def _by_kind(rows: Sequence[Row], items: Sequence[Item], confidence: float) -> dict[str, dict[str, Any]]:
    passed: dict[str, list[bool]] = {}
    for row, item in zip(rows, items, strict=True):
        if "checks" not in row or item.answer is None:
            continue
        answer = visible(item.answer, opened=bool(opening(item.prompt)))
        for kind, why in failures(answer, row["checks"]).items():
            passed.setdefault(kind, []).append(not why)
    found: dict[str, dict[str, Any]] = {}
    for kind, values in passed.items():
        interval = wilson(sum(values), len(values), confidence)
        found[kind] = {"n": len(values), "passed": sum(values), "low": interval.low, "high": interval.high}
    return found


def _cells(entry: Mapping[str, Any]) -> list[str]:
    share = entry["passed"] / entry["n"]
    return [f"{entry['passed']} ({share:.3f})", f"{entry['low']:.3f} … {entry['high']:.3f}"]
