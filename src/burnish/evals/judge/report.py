"""The report of a judgement: tables for the terminal, a document, and flat measures."""

from collections.abc import Iterator, Mapping
from typing import Any

from burnish.evals.judge.requests import Form
from burnish.evals.judge.summary import shown
from burnish.evals.report import Sample, tag_table
from burnish.reports.document import Block, Document, Heading, Table, Text
from burnish.reports.excerpts import beginning, ending

Rows = tuple[str, list[str], list[list[str]]]
_EXAMPLES = 10


def flat(found: Mapping[str, Any]) -> dict[str, Any]:
    """Measures for the artifact's record, beside those of the scores."""
    cost, missing = found["cost"], found["missing"]
    flat = {name: cost[name] for name in ("requests", "cached", "prompt_tokens", "reply_tokens", "cost")}
    flat |= {"replies": missing["replies"], "missing": missing["missing"], "missing_share": missing["share"]}
    if pairs := found.get("pairs"):
        names = ("won", "lost", "tied", "win_rate", "p_value", "verdict")
        flat |= {name: pairs[name] for name in names if name in pairs}
        flat["inconsistent"] = sum(one["inconsistent"] for one in pairs["position"].values())
    for name, entry in found["agreement"].items():
        for kind, value in _coefficients(entry):
            flat[f"{name}_{kind.replace(': ', '_').replace(' ', '_')}"] = value["value"]
    return {name: value for name, value in flat.items() if value is not None}


def tables(title: str, found: Mapping[str, Any]) -> Iterator[Rows]:
    """(title, columns, rows) of every table, for the terminal and the document."""
    yield title, ["score", "rows", "missing", "mean", "interval"], [_line(*one) for one in found["scores"].items()]
    if pairs := found.get("pairs"):
        yield from _pair_tables(pairs)
    columns, rows = tag_table(found)
    if rows:
        yield "By tag", ["mean" if column == "model" else column for column in columns], rows
    agreement = [
        [name, kind, entry["level"], str(value["rows"]), shown(value)]
        for name, entry in found["agreement"].items()
        for kind, value in _coefficients(entry)
    ]
    if agreement:
        yield "Agreement", ["criterion", "between", "scale", "rows", "coefficient"], agreement
    if reasons := found["missing"]["reasons"]:
        yield "Missing verdicts", ["reason", "replies"], [[why, f"{count:,}"] for why, count in reasons.items()]
    yield "Cost", *_cost_table(found["cost"])


def document_of(title: str, found: Mapping[str, Any], form: Form, sample: Sample) -> Document:
    """The report: tables, the criteria, and the answers with the lowest scores."""
    blocks: list[Block] = []
    missing = found["missing"]
    if missing["missing"]:
        text = f"{missing['missing']:,} of {missing['replies']:,} verdicts are missing; means are over the others."
        blocks.append(Text(text, "warning"))
    for heading, columns, rows in tables(title, found):
        blocks += [Heading("Scores" if heading == title else heading), Table("", columns, rows)]
    blocks += [Heading("Criteria"), Text(form.listed), Heading("Request"), Text(form.template)]
    lowest = _lowest(sample)
    if lowest:
        blocks += [Heading("Lowest scores"), Table("", ["row", "score", "prompt", "answer"], lowest)]
    return Document(title, blocks)


def _line(name: str, entry: Mapping[str, Any]) -> list[str]:
    model = entry["model"]
    mean = "–" if model["value"] is None else f"{model['value']:.3f}"
    ends = f"{model['low']:.3f} … {model['high']:.3f}" if "low" in model else ""
    rows = f"{model['n']} in {entry['clusters']}" if "clusters" in entry else str(model["n"])
    return [name, rows, f"{model['unscored']} ({model['missing_share']:.1%})", mean, ends]


def _pair_tables(pairs: Mapping[str, Any]) -> Iterator[Rows]:
    counts = [str(pairs[name]) for name in ("won", "tied", "lost")]
    verdict = [f"{pairs['p_value']:.3g}", pairs["verdict"]] if "p_value" in pairs else ["", ""]
    yield "Pairs", ["won", "tied", "lost", "p", "verdict"], [[*counts, *verdict]]
    rows = [
        [
            judge,
            str(one["pairs"]),
            f"{one['inconsistent']} ({_share(one['inconsistent_share'])})",
            f"{one['first_twice']} / {one['second_twice']}",
            _share(one["first_share"]),
            f"{one['p_value']:.3g}",
        ]
        for judge, one in pairs["position"].items()
    ]
    columns = ["judge", "pairs", "inconsistent", "first / second twice", "first chosen", "p (no bias)"]
    yield "Position bias", columns, rows


def _coefficients(entry: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for judge, value in entry.get("repeats", {}).items():
        yield f"alpha of repeats: {judge}", value
    if "judges" in entry:
        yield "alpha of judges", entry["judges"]
    for name in ("alpha", "kappa", "weighted_kappa"):
        if name in entry.get("human", {}):
            yield f"{name} with people", entry["human"][name]


def _cost_table(cost: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    columns = ["judge", "requests", "cached", "retries", "prompt tokens", "reply tokens", "cost"]
    rows = [
        [
            judge,
            *(f"{one[name]:,}" for name in ("requests", "cached", "retries", "prompt_tokens", "reply_tokens")),
            f"{one['cost']:.4g}" if one["cost"] else "–",
        ]
        for judge, one in cost["by_judge"].items()
    ]
    return columns, rows


def _lowest(sample: Sample) -> list[list[str]]:
    """The answers with the lowest overall score, or first score."""
    found = []
    for row, item in zip(sample.rows, sample.model, strict=True):
        score: Any = item.scores.get("overall") or next(iter(item.scores.values()))
        if (value := getattr(score, "value", None)) is not None:
            texts = [ending(item.prompt), beginning(item.answer or "")]
            found.append((value, [str(row["source"]), f"{value:.2f}", *texts]))
    return [cells for _, cells in sorted(found, key=lambda one: one[0])[:_EXAMPLES]]


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"
