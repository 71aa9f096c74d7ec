"""Statistics of the answers of an evaluation: repetition, refusals, lengths, and the time they took."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import mean, median
from typing import Any

from burnish.core.events import Table
from burnish.evals.measure import Item
from burnish.evals.report import Sample
from burnish.evals.scoring.refusals import refusal
from burnish.evals.scoring.repetition import ends_in_loop, repeated_share
from burnish.evals.scoring.rouge import words
from burnish.evals.scoring.scorers import opening, visible
from burnish.evals.timing import Timing

_MANY = 0.05
"""A larger share of answers that are cut off or end in a loop is reported."""
_COUNTS = {"loops": "end in a loop", "refusals": "refusals", "empty": "empty", "cut": "cut off"}


def answer_metrics(sample: Sample) -> dict[str, Any]:
    """Per model, counts, shares and lengths of its generated answers; empty if nothing was generated.

    Refusals and empty answers are of the text after the reasoning, all else of the whole answer.
    """
    return {side: found for side, items in sample.sides.items() if (found := _statistics(items))}


def generation_metrics(timings: Mapping[str, Timing]) -> dict[str, Any]:
    """Per model, the time of its answers: two runs never have the same, so it is no measure of the record."""
    found: dict[str, Any] = {}
    for side, timing in timings.items():
        if timing.latencies:
            entry: dict[str, Any] = {"answers": len(timing.latencies), "tokens": timing.tokens}
            entry |= {"seconds": timing.seconds, "tokens_per_second": timing.tokens / max(timing.seconds, 1e-9)}
            entry |= {"latency": _lengths(timing.latencies)}
            found[side] = {**entry, "batch_size": timing.batch_size, "device": timing.device}
    return found


def answer_table(found: Mapping[str, Any], base_name: str) -> Table:
    """The table of `answer_metrics`."""
    sides = list(found.values())
    lines = [["answers", *(f"{side['answers']:,}" for side in sides)]]
    lines.append(["repeated 4-grams", *(f"{side['repeated_4_grams']:.1%}" for side in sides)])
    for name, words_of in _COUNTS.items():
        lines.append([words_of, *(f"{side[name]:,} ({side[f'{name}_share']:.1%})" for side in sides)])
    for unit in ("tokens", "words"):
        lines.append([f"{unit}: mean, median, longest", *(_three(side[unit], "") for side in sides)])
    return Table(title="Answers", columns=["statistic", *_names(found, base_name)], rows=lines)


def generation_table(found: Mapping[str, Any], base_name: str) -> Table:
    """The table of `generation_metrics`."""
    sides = list(found.values())
    lines = [["tokens per second", *(f"{side['tokens_per_second']:.1f}" for side in sides)]]
    lines.append(["tokens", *(f"{side['tokens']:,}" for side in sides)])
    lines.append(["seconds", *(f"{side['seconds']:.2f}" for side in sides)])
    lines.append(["latency: mean, median, longest", *(_three(side["latency"], " s") for side in sides)])
    lines.append(["answers at once (batch_size)", *(str(side["batch_size"]) for side in sides)])
    lines.append(["device", *(side["device"] for side in sides)])
    return Table(title="Time of generation", columns=["statistic", *_names(found, base_name)], rows=lines)


def answer_warnings(found: Mapping[str, Any], base_name: str, max_new_tokens: int) -> Iterator[str]:
    """What makes scores of the answers doubtful."""
    for side, name in zip(found.values(), _names(found, base_name), strict=True):
        if side["cut_share"] > _MANY:
            text = (
                f"{name}: {side['cut']} of {side['answers']} answers are cut off at max_new_tokens ({max_new_tokens})"
            )
            yield f"{text} or the end of the context: set generation.max_new_tokens higher"
        if side["loops_share"] > _MANY:
            yield f"{name}: {side['loops']} of {side['answers']} answers end in a loop"


def _statistics(items: Sequence[Item]) -> dict[str, Any]:
    answered = [item for item in items if item.answer is not None and item.answer_tokens is not None]
    if not answered:
        return {}
    texts = [item.answer or "" for item in answered]
    shown = [visible(item.answer or "", opened=bool(opening(item.prompt))) for item in answered]
    counts = {
        "loops": sum(map(ends_in_loop, texts)),
        "refusals": sum(refusal(text) is not None for text in shown),
        "empty": sum(not text.strip() for text in shown),
        "cut": sum(item.finish_reason == "length" for item in answered),
    }
    found: dict[str, Any] = {"answers": len(answered), "repeated_4_grams": mean(map(repeated_share, texts))}
    for name, count in counts.items():
        found |= {name: count, f"{name}_share": count / len(answered)}
    found["tokens"] = _lengths([item.answer_tokens or 0 for item in answered])
    return {**found, "words": _lengths([len(words(text)) for text in texts])}


def _lengths(values: Sequence[float]) -> dict[str, float]:
    return {"mean": mean(values), "median": median(values), "longest": max(values)}


def _names(found: Mapping[str, Any], base_name: str) -> list[str]:
    return [{"model": "model", "base": base_name}[side] for side in found]


def _three(values: Mapping[str, float], unit: str) -> str:
    return ", ".join(_number(values[name], unit) for name in ("mean", "median", "longest"))


def _number(value: float, unit: str) -> str:
    return f"{value:.3g}{unit}" if unit and value < 1000 else f"{value:,.1f}".removesuffix(".0") + unit
