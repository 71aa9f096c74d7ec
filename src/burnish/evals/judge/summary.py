"""The numbers of a judgement beside its scores: what is missing, position bias, agreement, cost."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any, Literal

import numpy as np

from burnish.core.errors import DataError
from burnish.evals.judge.agreement import Agreement, alpha, kappa
from burnish.evals.judge.answers import Case
from burnish.evals.judge.criteria import Scale, Verdict
from burnish.evals.judge.outcomes import Ratings, combined, most_frequent, pair_counts
from burnish.evals.judge.panel import Judge
from burnish.evals.judge.reading import UnreadableError
from burnish.evals.judge.requests import Unasked
from burnish.evals.statistics.clusters import Labels, interval_of_mean
from burnish.evals.statistics.holm import corrected
from burnish.evals.statistics.intervals import Interval
from burnish.evals.statistics.paired import Comparison, compare_scores, mcnemar

_EXAMPLES = 3


def missing_of(judges: Sequence[Judge], unasked: Mapping[int, Unasked]) -> dict[str, Any]:
    """Replies that are missing: how many of all, by reason, with examples."""
    wanted = sum(len(judge.judgements) for judge in judges)
    lost = [(judge.name, one) for judge in judges for one in judge.judgements if one.verdicts is None]
    return {
        "replies": wanted,
        "missing": len(lost),
        "share": len(lost) / wanted if wanted else None,
        "reasons": dict(Counter(one.kind for _, one in lost).most_common()),
        "by_judge": {judge.name: sum(one.verdicts is None for one in judge.judgements) for judge in judges},
        "not_asked": dict(Counter(one.kind for one in unasked.values()).most_common()),
        "examples": [{"judge": name, "kind": one.kind, "why": one.why} for name, one in lost[:_EXAMPLES]],
    }


def cost_of(judges: Sequence[Judge]) -> dict[str, Any]:
    """Requests, tokens and money by judge, of this run and its earlier attempts, and their sums."""
    by_judge = {}
    for judge in judges:
        spending, counts = judge.endpoint.spending, judge.endpoint.counts
        by_judge[judge.name] = {
            "requests": spending.calls,
            "cached": counts["cached"],
            "retries": counts["retries"],
            "prompt_tokens": spending.used.prompt,
            "reply_tokens": spending.used.reply,
            "cost": spending.cost,
            "uncounted": spending.uncounted,
        }
    total = {name: sum(one[name] for one in by_judge.values()) for name in next(iter(by_judge.values()))}
    return {**total, "by_judge": by_judge}


def pairs_of(
    judges: Sequence[Judge], values: Sequence[float], labels: Labels | None, confidence: float, seed: int
) -> dict[str, Any]:
    """The win rate with its interval and exact sign test, and by judge how far the order decides.

    `values` are the outcomes of the pairs that have one: 1 won, 0 lost, between a tie; `labels` are their clusters,
    whose sums are flipped in the test.
    """
    won, lost = sum(value > 0.5 for value in values), sum(value < 0.5 for value in values)
    found: dict[str, Any] = {"pairs": len(values), "won": won, "lost": lost, "tied": len(values) - won - lost}
    if values:
        rate = float(np.mean(values))
        interval = interval_of_mean(np.array(values), labels, confidence, seed)
        difference = None
        if interval is not None:
            difference = Interval(2 * interval.low - 1, 2 * interval.high - 1, interval.method)
        if labels is None:
            test = Comparison("win", len(values), 1 - rate, rate, difference, "exact sign test", mcnemar(won, lost))
        else:
            ours, settings = np.array(values), {"confidence": confidence, "seed": seed}
            test = compare_scores("win", 1 - ours, ours, clusters=labels, **settings)
            found["clusters"] = test.clusters
        (test,) = corrected([test], confidence)
        found |= {"win_rate": rate, "test": test.test, "p_value": test.p_value, "verdict": test.verdict}
        if interval is not None:
            found |= {"low": interval.low, "high": interval.high, "method": interval.method}
    found["position"] = {judge.name: _position(judge) for judge in judges}
    return found


def _position(judge: Judge) -> dict[str, Any]:
    counts = pair_counts(judge.judgements)
    decided = counts.first + counts.second
    return {
        **asdict(counts),
        "inconsistent_share": counts.inconsistent / counts.pairs if counts.pairs else None,
        "first_share": counts.first / decided if decided else None,
        "p_value": mcnemar(counts.first_twice, counts.second_twice),
    }


def agreement_of(
    ratings: Sequence[Ratings],
    humans: Mapping[str, Sequence[Verdict | None]],
    how: Literal["mean", "majority"],
    labels: Labels | None,
    confidence: float,
    seed: int,
) -> dict[str, Any]:
    """By criterion: alpha between the repeats of each judge and between judges, and with the verdicts of people.

    `labels` are the clusters of the rows.
    """
    found: dict[str, Any] = {}
    for rating in ratings:
        scale, entry = rating.criterion.scale, dict[str, Any]()
        codes = _codes(scale)
        settings = (scale.measured, confidence, seed, labels)
        repeated = {
            judge: [[_code(one, codes) for one in case] for case in cases]
            for judge, cases in rating.by.items()
            if len(cases[0]) > 1
        }
        if repeated:
            entry["repeats"] = {judge: alpha(rows, *settings).to_json() for judge, rows in repeated.items()}
        if len(rating.by) > 1:
            rows = [[_one(each, scale, codes) for each in case] for case in zip(*rating.by.values(), strict=True)]
            entry["judges"] = alpha(rows, *settings).to_json()
        if rating.criterion.name in humans:
            entry["human"] = _with_people(rating, humans[rating.criterion.name], how, labels, confidence, seed)
        if entry:
            found[rating.criterion.name] = {"level": scale.measured, **entry}
    return found


def _codes(scale: Scale) -> dict[Verdict, float] | None:
    """A number for each label, in their order; None for a scale of numbers."""
    return {name: float(place) for place, name in enumerate(scale.points or ())} if scale.labels else None


def _code(verdict: Verdict | None, codes: Mapping[Verdict, float] | None) -> float | None:
    if verdict is None or codes is None:
        return None if verdict is None else float(verdict)
    return codes[verdict]


def _one(verdicts: Sequence[Verdict | None], scale: Scale, codes: Mapping[Verdict, float] | None) -> float | None:
    """One number for the repeats of a judge: their mean, or of a nominal scale the majority, without ties."""
    given = [one for one in verdicts if one is not None]
    if not given:
        return None
    if scale.measured == "nominal":
        frequent = most_frequent(given)
        return _code(frequent[0], codes) if len(frequent) == 1 else None
    numbers = [number for one in given if (number := _code(one, codes)) is not None]
    return sum(numbers) / len(numbers)


def _with_people(
    rating: Ratings,
    people: Sequence[Verdict | None],
    how: Literal["mean", "majority"],
    labels: Labels | None,
    confidence: float,
    seed: int,
) -> dict[str, Any]:
    """The combined verdict against that of people, on rows that have both; kappa on the nearest point of the scale."""
    scale = rating.criterion.scale
    codes, pairs, places = _codes(scale), list[tuple[float, float]](), list[int]()
    for case, label in enumerate(people):
        ours = _final(rating.of_case(case), scale, how)
        ours, theirs = _code(ours, codes), _code(label, codes)
        if ours is not None and theirs is not None:
            pairs.append((ours, theirs))
            places.append(case)
    settings = (confidence, seed, None if labels is None else labels[places])
    equal = float(np.mean([ours == theirs for ours, theirs in pairs])) if pairs else None
    found: dict[str, Any] = {"rows": len(pairs), "equal": equal}
    found["alpha"] = alpha(pairs, scale.measured, *settings).to_json()
    if scale.points is not None:
        points = [float(one) if codes is None else codes[one] for one in scale.points]  # pyright: ignore
        found["kappa"] = kappa(pairs, points, *settings, weighted=False).to_json()
        if scale.measured != "nominal" and len(points) > 2:
            found["weighted_kappa"] = kappa(pairs, points, *settings, weighted=True).to_json()
    return found


def _final(
    verdicts: Sequence[Sequence[Verdict | None]], scale: Scale, how: Literal["mean", "majority"]
) -> Verdict | None:
    """The combined verdict as a point of the scale; of a nominal one the majority, None if that is a tie."""
    if scale.measured == "nominal":
        frequent = most_frequent([one for each in verdicts for one in each if one is not None] or [""])
        return frequent[0] if len(frequent) == 1 and frequent[0] != "" else None
    score = combined(verdicts, scale, how)
    return None if score is None else scale.nearest(score)


def human_labels(
    cases: Sequence[Case], columns: Mapping[str, str], scales: Mapping[str, Scale]
) -> dict[str, list[Verdict | None]]:
    """The verdicts of people by criterion; an empty cell is none.

    Errors: DataError `data.missing-column` if no row has the column, `data.too-many-bad-rows` for a value
    that is not on the scale.
    """
    found: dict[str, list[Verdict | None]] = {}
    for name, column in columns.items():
        if not any(column in case.columns for case in cases):
            has = ", ".join(cases[0].columns)
            raise DataError(
                "data.missing-column", f"human.{name}: there is no column '{column}'", f"the columns: {has}"
            )
        found[name] = [_label(case, column, scales[name], name) for case in cases]
    return found


def _label(case: Case, column: str, scale: Scale, name: str) -> Verdict | None:
    value = case.columns.get(column)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, str) and not scale.labels:
        with suppress(ValueError):
            value = float(value)
    elif not isinstance(value, str) and scale.labels:
        value = str(value)
    try:
        return scale.read(value, column)
    except UnreadableError as error:
        fix = f"write {scale.shown()}, or leave the cell empty"
        raise DataError("data.too-many-bad-rows", f"the label of {name}: {error}", fix, place=case.source) from None


def shown(found: Agreement | Mapping[str, Any]) -> str:
    """A coefficient with its interval, for tables."""
    entry = found.to_json() if isinstance(found, Agreement) else found
    if entry["value"] is None:
        return "undefined"
    ends = "" if entry["low"] is None else f" ({entry['low']:.2f} … {entry['high']:.2f})"
    return f"{entry['value']:.2f}{ends}"
