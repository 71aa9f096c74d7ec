"""Scorers: functions of an answer, a reference and the row that return a score from 0 to 1 with a reason.

Each built-in scorer is a class, built from the spec of the same `kind`. `kind: custom` names a scorer of
another package, registered in the entry-point group `burnish.scorers` as a function of the settings that
returns a Scorer.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from typing import Any, Protocol

from burnish.core.errors import MachineError
from burnish.core.plugins import Plugin, plugin_named
from burnish.core.printable import encodable
from burnish.evals.scoring.json_values import parse_json, same_json
from burnish.evals.scoring.notations import parse_tool_calls
from burnish.evals.scoring.numbers import last_number
from burnish.evals.scoring.rouge import rouge, words
from burnish.evals.scoring.tool_calls import MalformedToolCallError, ToolCall, difference, reference_calls
from burnish.specs.evals import (
    ChrfSpec,
    ContainsSpec,
    CustomScorerSpec,
    ExactMatchSpec,
    JsonSpec,
    LanguageScoreSpec,
    NumberSpec,
    RegexSpec,
    RougeSpec,
    ToolCallSpec,
)
from burnish.specs.evals import (
    Scorer as ScorerSpec,
)

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Score:
    """The score of an answer, 0 to 1, with a short reason. Higher is better, of every score."""

    value: float
    why: str = ""


@dataclass(frozen=True)
class Unscored:
    """A row that cannot be scored, for example because it has no usable reference; not the same as 0."""

    why: str


class Scorer(Protocol):
    """The interface of scorers. `name` labels the score; `reference` is None if the row has no answer."""

    name: str

    def __call__(self, answer: str, reference: str | None, row: Row) -> Score | Unscored: ...


NO_REFERENCE = Unscored("the row has no reference answer")


_OPENING = re.compile(r"<think>\s*\Z")


def opening(prompt: str) -> str:
    """The end of a prompt that opens the reasoning of its answer, `<think>` and white space; "" if it does not."""
    found = _OPENING.search(prompt)
    return found[0] if found else ""


def visible(answer: str, opened: bool = False) -> str:
    """The visible part of an answer: the text after the reasoning (`<think>…</think>`).

    "" if the reasoning does not end; `opened` says that the prompt opens it, so that the answer has no `<think>`.
    """
    if "</think>" in answer:
        return answer.rpartition("</think>")[2].lstrip("\n")
    return "" if opened or answer.lstrip().startswith("<think>") else answer


def build_scorers(specs: Sequence[ScorerSpec]) -> list[Scorer]:
    """The scorers of the specs, with unique names (a second `regex` is `regex_2`).

    `tool_call` adds `no_call`, for rows that expect no call.
    """
    scorers: list[Scorer] = []
    seen: Counter[str] = Counter()
    for spec in specs:
        built = _BUILT_IN[spec.kind](spec)
        for scorer in [built, NoCall()] if isinstance(built, ToolCalls) else [built]:
            seen[scorer.name] += 1
            if seen[scorer.name] > 1:
                scorer.name = f"{scorer.name}_{seen[scorer.name]}"
            scorers.append(scorer)
    return scorers


def scorers_for(row: Row, scorers: Sequence[Scorer]) -> list[Scorer]:
    """The scorers that apply to a row, by their optional method `applies_to(row)`."""
    return [scorer for scorer in scorers if getattr(scorer, "applies_to", _always)(row)]


def score_answer(
    scorers: Sequence[Scorer], answer: str, reference: str | None, row: Row
) -> dict[str, Score | Unscored]:
    """The scores of the scorers that apply to a row, by name; `answer` and `reference` are without reasoning.

    Errors: MachineError `machine.broken-plugin` for a scorer that gives no score.
    """
    return {scorer.name: _checked(scorer, scorer(answer, reference, row), row) for scorer in scorers_for(row, scorers)}


def _checked(scorer: Scorer, found: Any, row: Row) -> Score | Unscored:
    """What a scorer gave; that of a plugin may be anything.

    Errors: MachineError `machine.broken-plugin` for anything but an Unscored or a Score from 0 to 1.
    """
    value: Any = getattr(found, "value", found)
    if isinstance(found, Unscored):
        return Unscored(encodable(str(found.why)))
    if isinstance(found, Score) and _is_share(value):
        return Score(float(value), encodable(str(found.why)))
    raise MachineError(
        "machine.broken-plugin",
        f"the scorer '{scorer.name}' gave {value!r} for row {row.get('id')}: a score is a number from 0 to 1",
        "correct the plugin, or remove the scorer from the recipe",
    )


def _is_share(value: Any) -> bool:
    return isinstance(value, Real) and bool(0 <= value <= 1)  # pyright: ignore[reportOperatorIssue]


def _always(row: Row) -> bool:
    return True


class ExactMatch:
    """Equality of two texts."""

    name = "exact_match"

    def __init__(self, spec: ExactMatchSpec):
        self.ignore_case, self.strip = spec.ignore_case, spec.strip

    def __call__(self, answer: str, reference: str | None, row: Row) -> Score | Unscored:
        if reference is None:
            return NO_REFERENCE
        return _verdict(self._normal(answer) == self._normal(reference), "equal", "differs from the reference")

    def _normal(self, text: str) -> str:
        text = text.strip() if self.strip else text
        return text.casefold() if self.ignore_case else text


class Contains:
    """Whether the answer contains the reference, or a fixed text."""

    name = "contains"

    def __init__(self, spec: ContainsSpec):
        self.text, self.ignore_case = spec.text, spec.ignore_case

    def __call__(self, answer: str, reference: str | None, row: Row) -> Score | Unscored:
        wanted = reference.strip() if self.text is None and reference is not None else self.text
        if not wanted:
            return NO_REFERENCE
        where, what = (answer.casefold(), wanted.casefold()) if self.ignore_case else (answer, wanted)
        return _verdict(what in where, "found", f"{wanted[:60]!r} is not in the answer")


class Regex:
    """The first match of the pattern; its first group, if any, is compared with that of the reference."""

    name = "regex"

    def __init__(self, spec: RegexSpec):
        self.pattern = re.compile(spec.pattern)

    def __call__(self, answer: str, reference: str | None, row: Row) -> Score | Unscored:
        found = self.pattern.search(answer)
        if not self.pattern.groups:
            return _verdict(found is not None, "found", "the pattern is not found")
        if reference is None:
            return NO_REFERENCE
        wanted = self.pattern.search(reference)
        if wanted is None:
            return Unscored("the pattern is not found in the reference")
        if found is None:
            return Score(0.0, "the pattern is not found")
        return _verdict(found[1] == wanted[1], "equal", f"{found[1]!r} instead of {wanted[1]!r}")


class Number:
    """Equality of the last numbers; `burnish.evals.scoring.numbers` defines them."""

    name = "number"

    def __init__(self, spec: NumberSpec):
        self.tolerance = spec.tolerance

    def __call__(self, answer: str, reference: str | None, row: Row) -> Score | Unscored:
        if reference is None:
            return NO_REFERENCE
        wanted = last_number(reference)
        if wanted is None:
            return Unscored("the reference has no number")
        found = last_number(answer)
        if found is None:
            return Score(0.0, "the answer has no number")
        close = abs(found - wanted) <= self.tolerance * abs(wanted) if self.tolerance else found == wanted
        return _verdict(close, "equal", f"{found} instead of {wanted}")


class Json:
    """Equality as JSON values: 1 equals 1.0, key order does not matter, a code fence is allowed."""

    name = "json"

    def __init__(self, spec: JsonSpec):
        pass

    def __call__(self, answer: str, reference: str | None, row: Row) -> Score | Unscored:
        if reference is None:
            return NO_REFERENCE
        try:
            wanted = parse_json(reference)
        except ValueError:
            return Unscored("the reference is not JSON")
        try:
            found = parse_json(answer)
        except ValueError as error:
            return Score(0.0, f"the answer is not JSON: {error}")
        return _verdict(same_json(found, wanted), "equal", "different JSON")


class ToolCalls:
    """The calls in the answer compared with the `tool_calls` of the row's last turn.

    Rows with tools whose reference has no call are scored by `NoCall` instead: any text would be correct there, and
    a model that never calls would score high.
    """

    name = "tool_call"

    def __init__(self, spec: ToolCallSpec):
        self.order = spec.order

    def applies_to(self, row: Row) -> bool:
        return not NoCall.applies_to(row)

    def __call__(self, answer: str, reference: str | None, row: Row) -> Score | Unscored:
        expected = expected_calls(row)
        if not expected:
            return Unscored("the row has neither a tool call nor tools")
        return _verdict_on_calls(answer, expected, order=self.order)


class NoCall:
    """For rows with tools whose reference has no call: whether the answer has no call either."""

    name = "no_call"

    @staticmethod
    def applies_to(row: Row) -> bool:
        return answering_turn(row) is not None and bool(row.get("tools")) and not expected_calls(row)

    def __call__(self, answer: str, reference: str | None, row: Row) -> Score | Unscored:
        return _verdict_on_calls(answer, [], order=True)


def expected_calls(row: Row) -> list[ToolCall]:
    """The calls of a row's last turn."""
    turn = answering_turn(row)
    return reference_calls(turn.get("tool_calls", ())) if turn else []


def _verdict_on_calls(answer: str, expected: Sequence[ToolCall], *, order: bool) -> Score:
    try:
        problem = difference(parse_tool_calls(answer), expected, order=order)
    except MalformedToolCallError as error:
        problem = str(error)
    return _verdict(not problem, "equal" if expected else "no call, as expected", problem)


class Rouge:
    """ROUGE F1."""

    def __init__(self, spec: RougeSpec):
        self.name = self.variant = spec.variant

    def __call__(self, answer: str, reference: str | None, row: Row) -> Score | Unscored:
        if reference is None or not words(reference):
            return NO_REFERENCE
        return Score(rouge(self.variant, answer, reference))


class Chrf:
    """chrF2 (Popović 2015) by sacrebleu, divided by 100."""

    name = "chrf"

    def __init__(self, spec: ChrfSpec):
        pass

    @cached_property
    def _metric(self) -> Any:
        from sacrebleu.metrics.chrf import CHRF

        return CHRF()

    def __call__(self, answer: str, reference: str | None, row: Row) -> Score | Unscored:
        if reference is None or not reference.strip():
            return NO_REFERENCE
        return Score(self._metric.sentence_score(answer, [reference]).score / 100)


class Language:
    """The language of the answer (py3langid), compared with a given one or the reference's."""

    name = "language"

    def __init__(self, spec: LanguageScoreSpec):
        self.expected = spec.expected

    def __call__(self, answer: str, reference: str | None, row: Row) -> Score | Unscored:
        import py3langid

        if self.expected is None and (reference is None or not reference.strip()):
            return NO_REFERENCE
        expected = self.expected or py3langid.classify(reference)[0]
        if not answer.strip():
            return Score(0.0, "the answer is empty")
        found = py3langid.classify(answer)[0]
        return _verdict(found == expected, found, f"{found} instead of {expected}")


def answering_turn(row: Row) -> Mapping[str, Any] | None:
    """The assistant turn at the end of a chat row, whose text or tool calls are the reference; else None."""
    turns = row.get("messages") or ()
    return turns[-1] if turns and turns[-1]["role"] == "assistant" else None


def _custom(spec: CustomScorerSpec) -> Scorer:
    return _PluginScorer(plugin_named("burnish.scorers", spec.name, "scorer"), spec.settings)


class _PluginScorer:
    """A scorer of another package; its errors name the package. Errors: MachineError `machine.broken-plugin`."""

    def __init__(self, plugin: Plugin, settings: Mapping[str, Any]):
        self._plugin, make = plugin, plugin.load()
        with plugin.guarded():
            self._scorer = make(settings)
        name: Any = getattr(self._scorer, "name", None)
        if not isinstance(name, str):
            raise plugin.refused("makes a scorer that has no attribute 'name'")
        if getattr(self._scorer, "higher_is_better", True) is not True:
            fix = "return 1 - value under another name: comparisons, gates and plots take a higher score as better"
            raise plugin.refused(f"makes a scorer, '{name}', whose lower scores are better", fix)
        self.name = name

    def applies_to(self, row: Row) -> bool:
        with self._plugin.guarded():
            return getattr(self._scorer, "applies_to", _always)(deepcopy(row))

    def __call__(self, answer: str, reference: str | None, row: Row) -> Score | Unscored:
        with self._plugin.guarded():
            return self._scorer(answer, reference, deepcopy(row))  # what it changes is its own


def _verdict(is_right: bool, right: str, wrong: str) -> Score:
    return Score(1.0, right) if is_right else Score(0.0, wrong)


_BUILT_IN: dict[str, Callable[[Any], Scorer]] = {
    "exact_match": ExactMatch,
    "contains": Contains,
    "regex": Regex,
    "number": Number,
    "json": Json,
    "tool_call": ToolCalls,
    "rouge": Rouge,
    "chrf": Chrf,
    "language": Language,
    "custom": _custom,
}
