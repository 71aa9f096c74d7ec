"""The requests of a judgement: one for each answer, order of a pair, and repeat."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from burnish.core.errors import DataError
from burnish.endpoints.client import Request
from burnish.evals.judge.answers import Case
from burnish.evals.judge.criteria import Criterion, criteria_of, described, example_of, guidance_of, schema_of
from burnish.evals.judge.prompts import filled
from burnish.evals.judge.templates import template_of
from burnish.specs.evals.judge import JudgeSpec
from burnish.specs.evals.rubrics import NEEDS_CONTEXT

FORWARD, SWAPPED = "forward", "swapped"


@dataclass(frozen=True)
class Question:
    """One request about a case. A pair is asked in both orders: swapped, the other answer is the first."""

    case: int
    repeat: int
    order: str
    messages: list[dict[str, str]]


@dataclass(frozen=True)
class Unasked:
    """A case that no judge is asked about, and why."""

    why: str
    kind: str


@dataclass(frozen=True)
class Form:
    """How every case is asked: the criteria, the template, the repeats."""

    criteria: Sequence[Criterion]
    template: str
    system: str | None
    listed: str
    """The criteria as text."""
    example: str
    schema: Mapping[str, Any]
    orders: Sequence[str]
    repeats: int

    def questions(self, place: int, case: Case) -> list[Question] | Unasked:
        """All requests about a case, for one judge."""
        asked = []
        for order in self.orders:
            text = self._text(case, order)
            if isinstance(text, Unasked):
                return text
            system = [] if self.system is None else [{"role": "system", "content": self.system}]
            messages = [*system, {"role": "user", "content": text}]
            asked += [Question(place, repeat, order, messages) for repeat in range(self.repeats)]
        return asked

    def _text(self, case: Case, order: str) -> str | Unasked:
        if case.answer is None:
            return Unasked("the row has no answer", "no answer")
        if len(self.orders) > 1 and case.other is None:
            return Unasked("the row has no other answer", "no other answer")
        for name, value in (("reference", case.reference), ("context", case.context)):
            if f"{{{name}}}" in self.template and value is None:
                return Unasked(f"the row has no {name}", f"no {name}")
        values = {
            "prompt": case.prompt,
            "answer": case.answer,
            "reference": case.reference or "",
            "context": case.context or "",
            "first": case.answer if order == FORWARD else case.other or "",
            "second": case.other or "" if order == FORWARD else case.answer,
            "criteria": self.listed,
            "format": self.example,
        }
        try:
            return filled(self.template, values, case.row)
        except DataError as error:
            return Unasked(error.reason, "no column")


def form_of(spec: JudgeSpec, cases: Sequence[Case]) -> Form:
    """The form of the requests, by the settings and by what the answers have."""
    criteria, guidance, pairs = criteria_of(spec), guidance_of(spec), spec.mode == "pairwise"
    shown = [*criteria, *guidance] if pairs else criteria
    with_context = any(case.context is not None for case in cases) or spec.rubric in NEEDS_CONTEXT
    template = spec.prompt or template_of(
        spec.mode,
        spec.language,
        with_criteria=True,
        with_prompt=any(case.prompt for case in cases),
        with_context=with_context,
    )
    reason = spec.reason
    return Form(
        criteria=criteria,
        template=template,
        system=spec.system,
        listed=described(shown[:1]) + "\n" + described(shown[1:], with_scale=False) if pairs else described(shown),
        example=example_of(criteria, reason=reason),
        schema=schema_of(criteria, reason=reason),
        orders=(FORWARD, SWAPPED) if pairs else (FORWARD,),
        repeats=spec.repeats,
    )


def request_of(question: Question, fields: Mapping[str, Any], seed: int | None) -> Request:
    """The request of a question; repeats differ in their seed, and in any case in the cache."""
    more = {} if seed is None else {"seed": seed + question.repeat}
    return Request(question.messages, {**fields, **more}, question.repeat)
