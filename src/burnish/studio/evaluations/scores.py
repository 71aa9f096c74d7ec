"""What an evaluation, a judgement or a comparison found, in one shape: scores, differences, judges, the gate."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from burnish.core.runs.workspace import Workspace
from burnish.studio.evaluations.records import as_written, evaluation_of, read_record

COMPARISON, METRICS = "comparison.json", "metrics.json"
_VALUES = ("value", "low", "high")
_JUDGE = ("requests", "cached", "retries", "prompt_tokens", "reply_tokens", "cost", "uncounted")


def evaluation(name: str, *, workspace: Path | str | None = None) -> dict[str, Any]:
    """`sides`, `scores`, `differences`, `tags`, `judging` and `gate` of the step `recipe/number/step`.

    `sides` are models: of `evaluate` and `judge` the `model`, and the `base` that it is compared with; of `compare` its
    candidates. Errors: AskError `ask.no-such-run`; RunError `run.broken-record`.
    """
    run, made = evaluation_of(name, Workspace.find(workspace))
    recipe, number, _ = run.name.split("/")
    inputs = {field: _whole(value.ref, recipe, number) for field, value in made.inputs.items()}
    if "model" in inputs and inputs.get("compare_with") is None and (base := made.inputs["model"].base) is not None:
        inputs["compare_with"] = base.ref
    is_comparison = (made.path / COMPARISON).is_file()
    path, shape = (made.path / COMPARISON, of_comparison) if is_comparison else (made.path / METRICS, of_metrics)
    with as_written(path):
        found = shape(read_record(path), inputs)
    about = {"run": run.name, "ref": run.reference, "kind": made.kind, "stage": run.record["stage"]}
    return {**about, "created": run.record["created"], "inputs": inputs, **found}


def of_comparison(record: Mapping[str, Any], inputs: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The content of a `comparison.json` in the shape of `evaluation`; `inputs` are the references of the step."""
    inputs = inputs or {}
    scores = [
        {
            "name": name,
            "rows": entry["n"],
            "higher_is_better": entry["higher_is_better"],
            "sides": {side: _value(value) for side, value in entry["candidates"].items()},
            "unscored": {side: sum(reasons.values()) for side, reasons in entry["unscored"].items()},
        }
        for name, entry in record["scores"].items()
    ]
    differences = [
        {
            "score": one["score"],
            "base": one["baseline"],
            "candidate": one["candidate"],
            "rows": one["n"],
            "delta": one["delta"],
            "low": one["low"],
            "high": one["high"],
            "p_value": one["p_corrected"] if one["p_corrected"] is not None else one["p"],
            "corrected_for": None if one["p_corrected"] is None else len(record["comparisons"]),
            "test": one["test"],
            "margin": one["margin"],
            "detectable": one["detectable"],
            "verdict": one["verdict"],
            "higher_is_better": one["higher_is_better"],
        }
        for one in record["comparisons"]
    ]
    return {
        "rows": record["rows"],
        "clusters": None if record["clusters"] is None else record["clusters"]["count"],
        "confidence": record["confidence"],
        "baseline": record["baseline"],
        "sides": {
            name: inputs.get(f"candidates.{name}.ref", about["ref"]) for name, about in record["candidates"].items()
        },
        "scores": scores,
        "differences": differences,
        "tags": [],
        "judging": None,
        "gate": record["gate"],
        "missing_rows": record["missing_rows"],
    }


def of_metrics(record: Mapping[str, Any], inputs: Mapping[str, str]) -> dict[str, Any]:
    """The content of a `metrics.json` in the shape of `evaluation`; `inputs` are the references of the step."""
    entries = {**record["scores"], **record["likelihood"]}
    has_base = any("base" in entry for entry in entries.values())
    sides = {"model": inputs.get("model") or inputs.get("answers") or ""}
    if has_base:
        sides["base"] = inputs.get("compare_with") or inputs.get("against") or ""
    lower = set(record["likelihood"])
    compared = sum("p_corrected" in entry for entry in entries.values())
    return {
        "rows": record["rows"],
        "clusters": record.get("clusters"),
        "confidence": record["confidence"],
        "baseline": "base" if has_base else "model",
        "sides": sides,
        "scores": [_score(name, entry, name not in lower) for name, entry in entries.items()],
        "differences": [
            _difference(name, entry, name not in lower, compared) for name, entry in entries.items() if "delta" in entry
        ],
        "tags": [
            {
                "tag": tag,
                "rows": section["rows"],
                "scores": [_score(name, entry, True) for name, entry in section["scores"].items()],
                "differences": [
                    _difference(name, entry, True) for name, entry in section["scores"].items() if "delta" in entry
                ],
            }
            for tag, section in record.get("by_tag", {}).items()
        ],
        "judging": _judging(record) if "cost" in record else None,
        "gate": None,
        "missing_rows": {},
    }


def _whole(ref: str, recipe: str, number: str) -> str:
    """A reference to a step of the same run, as other runs write it."""
    return f"{recipe}.{ref.removeprefix('step:')}@{number}" if ref.startswith("step:") else ref


def _value(entry: Mapping[str, Any]) -> dict[str, float | None]:
    return {name: entry.get(name) for name in _VALUES}


def _score(name: str, entry: Mapping[str, Any], higher_is_better: bool) -> dict[str, Any]:
    sides = {side: entry[side] for side in ("model", "base") if side in entry}
    return {
        "name": name,
        "rows": entry["model"]["n"],
        "higher_is_better": higher_is_better,
        "sides": {side: _value(value) for side, value in sides.items()},
        "unscored": {side: value["unscored"] for side, value in sides.items() if value.get("unscored")},
    }


def _difference(name: str, entry: Mapping[str, Any], higher_is_better: bool, compared: int = 0) -> dict[str, Any]:
    return {
        "score": name,
        "base": "base",
        "candidate": "model",
        "rows": entry["model"]["n"],
        "delta": entry["delta"],
        "low": entry.get("delta_low"),
        "high": entry.get("delta_high"),
        "p_value": entry.get("p_corrected", entry.get("p_value")),
        "corrected_for": compared if "p_corrected" in entry else None,
        "test": entry.get("test") or "",
        "margin": None,
        "detectable": None,
        "verdict": entry.get("verdict") or "",
        "higher_is_better": higher_is_better,
    }


def _judging(record: Mapping[str, Any]) -> dict[str, Any]:
    """Judges, what they cost, what is missing, and how far they agree with one another, themselves and people."""
    cost, missing, asked = record["cost"], record["missing"], record["asked"]["judges"]
    return {
        "judges": [
            {
                "name": name,
                "endpoint": asked.get(name, {}).get("endpoint", ""),
                **{key: spent[key] for key in _JUDGE},
                "missing": missing["by_judge"].get(name, 0),
            }
            for name, spent in cost["by_judge"].items()
        ],
        "total": {key: cost[key] for key in _JUDGE},
        "replies": missing["replies"],
        "missing": missing["missing"],
        "missing_reasons": missing["reasons"],
        "not_asked": missing["not_asked"],
        "agreement": [
            line for name, entry in record["agreement"].items() for line in _agreement(name, entry, entry["level"])
        ],
        "pairs": _pairs(record["pairs"]) if "pairs" in record else None,
    }


def _agreement(criterion: str, entry: Mapping[str, Any], level: str) -> list[dict[str, Any]]:
    about = {"criterion": criterion, "level": level}
    lines = [
        {**about, "between": "repeats", "judge": judge, "coefficient": "alpha", **value}
        for judge, value in entry.get("repeats", {}).items()
    ]
    if "judges" in entry:
        lines.append({**about, "between": "judges", "judge": None, "coefficient": "alpha", **entry["judges"]})
    people = entry.get("human", {})
    lines += [
        {**about, "between": "people", "judge": None, "coefficient": name, **people[name]}
        for name in ("alpha", "kappa", "weighted_kappa")
        if name in people
    ]
    return lines


def _pairs(record: Mapping[str, Any]) -> dict[str, Any]:
    names = ("pairs", "won", "lost", "tied", "win_rate", "low", "high", "p_value", "verdict")
    return {
        **{name: record.get(name) for name in names},
        "position": [
            {"judge": judge, "inconsistent": one["inconsistent_share"], "first": one["first_share"]}
            for judge, one in record["position"].items()
        ],
    }
