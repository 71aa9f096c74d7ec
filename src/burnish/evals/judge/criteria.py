"""What a judge is asked: criteria with their scales, the JSON schema of its reply, and the reading of one."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from burnish.data.record import RowError
from burnish.data.strict_json import parse
from burnish.endpoints.client import Reply
from burnish.evals.judge.reading import UnreadableError, end_of
from burnish.evals.scoring.json_values import unfenced
from burnish.evals.scoring.scorers import visible
from burnish.specs.evals.judge import CriterionSpec, JudgeSpec, Level, ScaleSpec
from burnish.specs.evals.rubrics import RUBRICS

Verdict = float | str
"""A number or a label of a scale."""
REASON = "reason"
CORRECT, WINNER = "correct", "winner"
FIRST, SECOND, TIE = "first", "second", "tie"
_ENUMERATED = 21
"""Whole numbers up to this many are listed in the schema: every endpoint supports `enum`."""
_GRADES: dict[str, tuple[float, dict[str, str]]] = {
    "incorrect": (0.0, {"en": "it contradicts the reference, or does not answer", "zh": "与参考答案矛盾,或没有回答"}),
    "partly": (
        0.5,
        {"en": "it has a part of the reference, and nothing wrong", "zh": "包含参考答案的一部分,且没有错误"},
    ),
    "correct": (1.0, {"en": "it says what the reference says, in any words", "zh": "与参考答案意思一致,措辞可以不同"}),
}
_CORRECT = {
    "en": "Whether the answer agrees with the reference answer. Further true statements do not matter.",
    "zh": "回答是否与参考答案一致。额外的正确内容不影响判断。",
}
_WINNER = {
    "en": "Which answer is better: `first`, `second`, or `tie` if neither is.",
    "zh": "哪个回答更好:`first`(第一个)、`second`(第二个),不分上下则为 `tie`。",
}


@dataclass(frozen=True)
class Scale:
    """The verdicts of a criterion: labels with their scores, or numbers from `low` to `high`."""

    labels: Mapping[str, float]
    low: float
    high: float
    whole: bool
    levels: Mapping[str, str]
    measured: Level

    @property
    def points(self) -> list[Verdict] | None:
        """All verdicts, from the worst to the best; None for a range with fractions."""
        if self.labels:
            return [*sorted(self.labels, key=self.labels.__getitem__)]
        return [float(value) for value in range(int(self.low), int(self.high) + 1)] if self.whole else None

    def score(self, verdict: Verdict) -> float:
        """0 for the worst, 1 for the best."""
        return self.labels[verdict] if isinstance(verdict, str) else (verdict - self.low) / (self.high - self.low)

    def nearest(self, score: float) -> Verdict:
        """The verdict whose score is nearest; of two the better one."""
        points = self.points
        if points is None:
            return self.low + score * (self.high - self.low)
        return min(points, key=lambda point: (round(abs(self.score(point) - score), 9), -self.score(point)))

    def schema(self) -> dict[str, Any]:
        """The JSON schema of a verdict."""
        points = self.points
        if points is None:
            return {"type": "number", "minimum": self.low, "maximum": self.high}
        if self.labels:
            return {"type": "string", "enum": points}
        if len(points) <= _ENUMERATED:
            return {"type": "integer", "enum": [int(point) for point in points]}
        return {"type": "integer", "minimum": int(self.low), "maximum": int(self.high)}

    def shown(self) -> str:
        """The verdicts in words, for the prompt."""
        if self.labels:
            return " | ".join(f'"{point}"' for point in self.labels)
        kind = "whole number" if self.whole else "number"
        return f"{kind} {self.low:g} to {self.high:g}"

    def read(self, value: Any, name: str) -> Verdict:
        """A value of a reply as a verdict. Errors: UnreadableError for another type, or one that is off the scale."""
        if self.labels:
            if not isinstance(value, str):
                raise UnreadableError(f"'{name}' is {_shown(value)}, not a label", "wrong type")
            found = {label.strip().casefold(): label for label in self.labels}.get(value.strip().casefold())
            if found is None:
                raise UnreadableError(f"'{name}' is {_shown(value)}, which is not on the scale", "off the scale")
            return found
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UnreadableError(f"'{name}' is {_shown(value)}, not a number", "wrong type")
        is_right = math.isfinite(value) and self.low <= value <= self.high
        if not is_right or (self.whole and value != int(value)):
            raise UnreadableError(f"'{name}' is {_shown(value)}, which is not on the scale", "off the scale")
        return float(value)


@dataclass(frozen=True)
class Criterion:
    """One question with its scale; `weight` is its part in `overall`."""

    name: str
    description: str
    scale: Scale
    weight: float = 1.0


def criteria_of(spec: JudgeSpec) -> list[Criterion]:
    """The criteria of a judgement, by its mode. A pair has one verdict, `winner`."""
    language = spec.language
    if spec.mode == "pairwise":
        labels = {SECOND: 0.0, TIE: 0.5, FIRST: 1.0}
        return [Criterion(WINNER, _WINNER[language], Scale(labels, 0, 1, False, {}, "ordinal"))]
    if spec.mode == "reference":
        grades = {name: grade for name, grade in _GRADES.items() if spec.verdicts == "graded" or name != "partly"}
        labels = {name: score for name, (score, _) in grades.items()}
        levels = {name: texts[language] for name, (_, texts) in grades.items()}
        return [Criterion(CORRECT, _CORRECT[language], Scale(labels, 0, 1, False, levels, "ordinal"))]
    return guidance_of(spec)


def guidance_of(spec: JudgeSpec) -> list[Criterion]:
    """The criteria of a rubric, or the user's own: for a pair, what to look at."""
    if spec.rubric is not None:
        return [_criterion(CriterionSpec.model_validate(given)) for given in RUBRICS[spec.rubric][spec.language]]
    return [_criterion(given) for given in spec.criteria]


def _criterion(spec: CriterionSpec) -> Criterion:
    return Criterion(spec.name, spec.description, _scale(spec.scale), spec.weight)


def _scale(spec: ScaleSpec) -> Scale:
    labels, measured = spec.labels, spec.measured
    if measured is None:
        measured = "ordinal" if len(set(labels.values())) == len(labels) else "nominal"
    low, high, whole = (0.0, 1.0, False) if labels else (spec.low, spec.high, spec.whole)
    return Scale(labels, low, high, whole, spec.levels, measured)


def described(criteria: Sequence[Criterion], *, with_scale: bool = True) -> str:
    """The criteria as a list, for the prompt."""
    lines = []
    for criterion in criteria:
        scale = f" ({criterion.scale.shown()})" if with_scale else ""
        lines.append(f"- {criterion.name}{scale}: {criterion.description}")
        if with_scale:
            lines += [f"    {name}: {text}" for name, text in criterion.scale.levels.items()]
    return "\n".join(lines)


def schema_of(criteria: Sequence[Criterion], *, reason: bool) -> dict[str, Any]:
    """The JSON schema of a reply; the reason comes first, so that the verdict follows from it."""
    fields = {REASON: {"type": "string"}} if reason else {}
    fields |= {criterion.name: criterion.scale.schema() for criterion in criteria}
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


def example_of(criteria: Sequence[Criterion], *, reason: bool) -> str:
    """The form of a reply, for the prompt."""
    fields = [f'"{REASON}": "…"'] if reason else []
    fields += [f'"{criterion.name}": <{criterion.scale.shown()}>' for criterion in criteria]
    return "{" + ", ".join(fields) + "}"


def read_reply(reply: Reply, criteria: Sequence[Criterion]) -> dict[str, Verdict]:
    """The verdicts of a reply: one JSON object, optionally in a code fence, with every criterion on its scale.

    Fields beside the criteria are not read. Errors: UnreadableError; then nothing of the reply counts.
    """
    text = visible(reply.text).strip()
    if reply.refusal:
        raise UnreadableError(f"the judge refuses: {end_of(reply.refusal)!r}", "refusal")
    if not text:
        why = "the reply is empty" if not reply.text.strip() else "the reply has only reasoning"
        raise UnreadableError(why, "cut off" if reply.finish_reason == "length" else "empty")
    try:
        value = parse(unfenced(text))
    except RowError as error:
        if reply.finish_reason == "length":
            raise UnreadableError(f"it was cut off at max_tokens: {end_of(text)!r}", "cut off") from None
        raise UnreadableError(f"{error.reason}: {end_of(text)!r}", "not JSON") from None
    if not isinstance(value, dict):
        raise UnreadableError(f"it is not a JSON object: {end_of(text)!r}", "other schema")
    absent = [criterion.name for criterion in criteria if criterion.name not in value]
    if absent:
        has = ", ".join(list(value)[:5]) or "none"
        raise UnreadableError(f"it has no field '{absent[0]}'; its fields: {end_of(has)}", "other schema")
    return {criterion.name: criterion.scale.read(value[criterion.name], criterion.name) for criterion in criteria}


def _shown(value: Any) -> str:
    return end_of(repr(value))[:60]
