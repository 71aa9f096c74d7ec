"""Report an evaluation: convert the items of one or two models to metrics, tables and lines.

`metrics.json` contains every number with its interval, `items.jsonl` every row, and the artifact's record a few flat
measures. In keys the model compared with is always `base`; tables and charts show its name.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from burnish.evals.likelihood import Likelihood
from burnish.evals.measure import Item
from burnish.evals.scoring.scorers import Row, Score, Unscored
from burnish.evals.statistics.clusters import Labels, interval_of_mean, interval_of_ratio, labels_of
from burnish.evals.statistics.holm import corrected
from burnish.evals.statistics.intervals import Floats, Interval
from burnish.evals.statistics.paired import Comparison, compare_ratios, compare_scores

BITS = "bits_per_byte"


@dataclass(frozen=True)
class Sample:
    """The results of the model and, in a comparison, of the base on the same rows.

    Rows with an equal `cluster` are one unit of evidence.
    """

    rows: Sequence[Row]
    model: Sequence[Item]
    base: Sequence[Item] | None
    confidence: float
    seed: int

    @property
    def sides(self) -> dict[str, Sequence[Item]]:
        return {"model": self.model} | ({"base": self.base} if self.base is not None else {})

    @property
    def labels(self) -> Labels | None:
        """The cluster of each row; None if the rows are independent."""
        return labels_of([row.get("cluster") for row in self.rows])

    @property
    def clusters(self) -> int | None:
        return None if (labels := self.labels) is None else int(labels.max()) + 1

    def of_tag(self, tag: str) -> "Sample":
        """The rows of the sample with the tag."""
        chosen = [i for i, row in enumerate(self.rows) if row.get("tag") == tag]
        base = None if self.base is None else [self.base[i] for i in chosen]
        rows, model = [self.rows[i] for i in chosen], [self.model[i] for i in chosen]
        return Sample(rows, model, base, self.confidence, self.seed)


def metrics(sample: Sample) -> dict[str, Any]:
    """All metrics, over all rows and by tag, as plain JSON.

    Only comparisons over all rows have a verdict; those by tag have a difference and its interval.
    """
    comparisons = {found.name: found for found in corrected(compared_sides(sample), sample.confidence)}
    tags = sorted({row["tag"] for row in sample.rows if row.get("tag")})
    return {
        "rows": len(sample.rows),
        "confidence": sample.confidence,
        **({} if sample.clusters is None else {"clusters": sample.clusters}),
        **_section(sample, comparisons, with_verdict=True),
        "by_tag": {tag: _tag_section(sample.of_tag(tag)) for tag in tags},
    }


def measures(found: Mapping[str, Any]) -> dict[str, Any]:
    """The flat measures for the artifact's record, from `metrics`."""
    flat: dict[str, Any] = {"rows": found["rows"]}
    for name, entry in [*found["scores"].items(), *found["likelihood"].items()]:
        flat[name] = entry["model"]["value"]
        if "base" in entry:
            flat |= {f"{name}_base": entry["base"]["value"], f"{name}_rows": entry["model"]["n"]}
        if "delta" in entry:
            flat |= {f"{name}_delta": entry["delta"], f"{name}_verdict": entry["verdict"]}
            flat |= {f"{name}_delta_{end}": entry[f"delta_{end}"] for end in ("low", "high") if f"delta_{end}" in entry}
    return {name: value for name, value in flat.items() if value is not None}


def table(found: Mapping[str, Any], base_name: str = "base") -> tuple[list[str], list[list[str]]]:
    """Columns and rows of the table of scores, from `metrics`; `base_name` is the column of the model compared with."""
    entries = {**found["scores"], **found["likelihood"]}
    verdict = ["verdict"] if _is_compared(entries) else []
    lines = [[name, *_line(entry), *([entry.get("verdict", "")] if verdict else [])] for name, entry in entries.items()]
    return ["score", *_columns_for(entries, base_name), *verdict], lines


def tag_table(found: Mapping[str, Any], base_name: str = "base") -> tuple[list[str], list[list[str]]]:
    """Columns and rows of the table by tag, from `metrics`; empty for fewer than two tags."""
    if len(found["by_tag"]) < 2:
        return [], []
    lines = [
        [tag, name, *_line(entry)]
        for tag, section in found["by_tag"].items()
        for name, entry in section["scores"].items()
    ]
    return ["tag", "score", *_columns_for(found["scores"], base_name)], lines


def _is_compared(entries: Mapping[str, Any]) -> bool:
    return any("base" in entry for entry in entries.values())


def _columns_for(entries: Mapping[str, Any], base_name: str) -> list[str]:
    return ["rows", "model", *([base_name, "difference"] if _is_compared(entries) else ["interval"])]


def _line(entry: Mapping[str, Any]) -> list[str]:
    """The cells rows and model, then base and difference, or the interval."""
    rows = str(entry["model"]["n"])
    rows = f"{rows} in {entry['clusters']}" if "clusters" in entry else rows
    start = [rows, shown_number(entry["model"]["value"])]
    if "base" in entry:
        return [*start, shown_number(entry["base"]["value"]), _difference(entry)]
    return [*start, _range(entry["model"], "")]


def item_lines(sample: Sample) -> Iterator[dict[str, Any]]:
    """One dict per row for `items.jsonl`; results of the base are under `base`."""
    for index, row in enumerate(sample.rows):
        line = {"id": row["id"], "source": row["source"], "tag": row.get("tag"), **_item(sample.model[index])}
        line |= {name: row[name] for name in ("cluster", "task") if row.get(name) is not None}
        if sample.base is not None:
            line["base"] = _item(sample.base[index])
        yield line


def unpaired(found: Mapping[str, Any]) -> dict[str, int]:
    """For each metric, the number of rows scored for only one of two models and excluded from both, from `metrics`."""
    entries = {**found["scores"], **found["likelihood"]}
    counts = {
        name: sum(entry[side].get("unpaired", 0) for side in ("model", "base") if side in entry)
        for name, entry in entries.items()
    }
    return {name: count for name, count in counts.items() if count}


def unscored(sample: Sample, name: str) -> dict[str, int]:
    """The number of rows that a scorer left unscored for the model, by reason."""
    reasons: dict[str, int] = {}
    for item in sample.model:
        if isinstance(score := item.scores.get(name), Unscored):
            reasons[score.why] = reasons.get(score.why, 0) + 1
    return reasons


def _section(sample: Sample, comparisons: Mapping[str, Comparison], *, with_verdict: bool) -> dict[str, Any]:
    scores: dict[str, Any] = {}
    for name in _score_names(sample):
        both = _in_both(sample, lambda item, name=name: isinstance(item.scores.get(name), Score))
        sides = {side: _score(items, name, both, sample) for side, items in sample.sides.items()}
        scores[name] = sides | _counted(sample, both) | _compared(comparisons.get(name), with_verdict)
    found = {side: _likelihood(side, sample) for side in sample.sides}
    likelihood: dict[str, Any] = {}
    if found["model"]["perplexity"]["n"]:  # the same rows for both
        for name, has_value in _LIKELIHOODS.items():
            sides = {side: values[name] for side, values in found.items()} | _counted(
                sample, _in_both(sample, has_value)
            )
            likelihood[name] = sides | _compared(comparisons.get(name), with_verdict)
    return {"scores": scores, "likelihood": likelihood}


def _counted(sample: Sample, counts: Sequence[bool]) -> dict[str, int]:
    """The number of clusters of the rows that count; empty for independent rows."""
    return {} if (labels := _labels(sample, counts)) is None else {"clusters": len(np.unique(labels))}


def _tag_section(sample: Sample) -> dict[str, Any]:
    comparisons = {found.name: found for found in compared_sides(sample)}
    return {"rows": len(sample.rows), **_section(sample, comparisons, with_verdict=False)}


def _score_names(sample: Sample) -> list[str]:
    return list(dict.fromkeys(name for item in sample.model for name in item.scores))


def _in_both(sample: Sample, counts: Callable[[Item], bool]) -> list[bool]:
    """Per row, whether it counts for every model: comparisons use the same rows."""
    sides = list(sample.sides.values())
    return [all(counts(items[index]) for items in sides) for index in range(len(sample.rows))]


def _score(items: Sequence[Item], name: str, both: Sequence[bool], sample: Sample) -> dict[str, Any]:
    scored = [isinstance(item.scores.get(name), Score) for item in items]
    values = [item.scores[name].value for item, counts in zip(items, both, strict=True) if counts]  # pyright: ignore
    left = sum(isinstance(item.scores.get(name), Unscored) for item in items)
    entry: dict[str, Any] = {"n": len(values), "unscored": left, "value": float(np.mean(values)) if values else None}
    if sample.base is not None:
        entry["unpaired"] = sum(scored) - len(values)
    interval = interval_of_mean(np.array(values), _labels(sample, both), sample.confidence, sample.seed)
    return entry | _ends(interval)


def _labels(sample: Sample, counts: Sequence[bool]) -> Labels | None:
    """The clusters of the rows that count."""
    return None if (labels := sample.labels) is None else labels[np.array(counts, dtype=bool)]


def _likelihood(side: str, sample: Sample) -> dict[str, dict[str, Any]]:
    """Perplexity of a model on the rows with a likelihood, and bits per byte on those of them that have text."""
    items, entries = sample.sides[side], dict[str, dict[str, Any]]()
    for name, has_value in _LIKELIHOODS.items():
        both = _in_both(sample, has_value)
        labels = _labels(sample, both)
        rows = [item.likelihood for item, counts in zip(items, both, strict=True) if counts and item.likelihood]
        entries[name] = {"n": len(rows), "too_long": sum(item.too_long for item in items)}
        if sample.base is not None:
            entries[name]["unpaired"] = sum(map(has_value, items)) - len(rows)
        total = reduce(add, rows, Likelihood())
        if name == BITS:
            entries[name] |= {"bytes": total.bytes, "value": total.bits_per_byte if rows else None}
            interval = interval_of_ratio(_columns(rows, "bytes"), labels, sample.confidence, sample.seed)
        else:
            entries[name] |= {"tokens": total.tokens, "value": total.perplexity if rows else None}
            interval = interval_of_ratio(_columns(rows, "tokens"), labels, sample.confidence, sample.seed)
            if interval is not None:
                interval = Interval(_exp(interval.low), _exp(interval.high), interval.method)
        entries[name] |= _ends(interval)
    return entries


def _has_likelihood(item: Item) -> bool:
    return item.likelihood is not None


def _has_bytes(item: Item) -> bool:
    """True if the learned tokens decode to text: without it, bits per byte are not defined."""
    return item.likelihood is not None and item.likelihood.bytes > 0


_LIKELIHOODS = {"perplexity": _has_likelihood, BITS: _has_bytes}
"""What is measured of the likelihood, and the rows on which it is."""


def compared_sides(sample: Sample) -> list[Comparison]:
    """Compare every score, and bits per byte, on the rows that count for both models."""
    if sample.base is None:
        return []
    settings = {"confidence": sample.confidence, "seed": sample.seed}
    found = []
    for name in _score_names(sample):
        both = _in_both(sample, lambda item, name=name: isinstance(item.scores.get(name), Score))
        if any(both):
            base, model = (
                np.array([item.scores[name].value for item, counts in zip(items, both, strict=True) if counts])  # pyright: ignore
                for items in (sample.base, sample.model)
            )
            found.append(compare_scores(name, base, model, clusters=_labels(sample, both), **settings))
    both = _in_both(sample, _has_bytes)
    if any(both):
        base, model = (
            _columns([item.likelihood for item, counts in zip(items, both, strict=True) if counts], "bytes").T  # pyright: ignore
            for items in (sample.base, sample.model)
        )
        settings |= {"clusters": _labels(sample, both), "higher_is_better": False}
        found.append(compare_ratios(BITS, (base[0], base[1]), (model[0], model[1]), **settings))
    return found


def _columns(rows: Sequence[Likelihood], per: str) -> Floats:
    """Nats and tokens, or bits and bytes: [n, 2]."""
    scale = np.log(2) if per == "bytes" else 1.0
    return np.array([(row.nats / scale, getattr(row, per)) for row in rows]).reshape(-1, 2)


def _compared(comparison: Comparison | None, with_verdict: bool) -> dict[str, Any]:
    if comparison is None:
        return {}
    entry: dict[str, Any] = {"delta": comparison.delta, "paired_rows": comparison.n}
    entry |= {f"delta_{end}": value for end, value in _ends(comparison.interval).items()}
    if with_verdict:
        entry |= {"test": comparison.test, "p_value": comparison.p_value, "p_corrected": comparison.p_corrected}
        entry |= {"verdict": comparison.verdict, "higher_is_better": comparison.higher_is_better}
    return entry


def _ends(interval: Interval | None) -> dict[str, Any]:
    return {} if interval is None else {"low": interval.low, "high": interval.high, "method": interval.method}


def _exp(value: float) -> float:
    return float(np.exp(min(value, 700.0)))


def _item(item: Item) -> dict[str, Any]:
    scores = {
        name: {"value": score.value if isinstance(score, Score) else None, "why": score.why, **_asked(item, name)}
        for name, score in item.scores.items()
    }
    line: dict[str, Any] = {"prompt": item.prompt, "reference": item.reference, "answer": item.answer}
    if item.answer_tokens is not None:
        line["answer_tokens"] = item.answer_tokens
    line |= {"finish_reason": item.finish_reason, "scores": scores, "too_long": item.too_long}
    if item.values:
        line["values"] = item.values
    if item.likelihood is not None:
        line |= {"nll": item.likelihood.nats, "tokens": item.likelihood.tokens, "bytes": item.likelihood.bytes}
    return line


def _asked(item: Item, name: str) -> dict[str, Any]:
    """What a score was computed from, if that is not what the row shows."""
    return asdict(item.asked[name]) if name in item.asked else {}


def shown_number(value: float | None) -> str:
    if value is None:
        return "–"
    if value != 0 and abs(value) < 0.0005:
        return f"{value:.2g}"
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.4g}"


def _range(entry: Mapping[str, Any], prefix: str) -> str:
    low, high = entry.get(f"{prefix}low"), entry.get(f"{prefix}high")
    return "" if low is None or high is None else f"{shown_number(low)} … {shown_number(high)}"


def _difference(entry: Mapping[str, Any]) -> str:
    if "delta" not in entry:
        return ""
    interval = _range(entry, "delta_")
    return f"{entry['delta']:+.3f}" + (f" ({interval})" if interval else "")
