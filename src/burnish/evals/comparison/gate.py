"""The gate: rules that a comparison must satisfy. A rule that cannot be decided fails, by name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from burnish.core.recipes.gates import Rule
from burnish.evals.comparison.claims import Claim, claims_of_rule, concerned
from burnish.evals.comparison.regressions import Checked
from burnish.evals.comparison.table import Column
from burnish.evals.statistics.paired import Comparison
from burnish.specs.evals import GateRuleSpec


@dataclass(frozen=True)
class Judged:
    """The result of a rule; `found` has the numbers, or why it cannot be decided."""

    rule: str
    passed: bool
    found: str
    candidates: Sequence[str]
    """Those that the rule is about."""

    def as_dict(self) -> dict[str, Any]:
        return {"rule": self.rule, "passed": self.passed, "found": self.found, "candidates": list(self.candidates)}


@dataclass(frozen=True)
class Evidence:
    """What rules are judged on."""

    columns: Sequence[Column]
    found: Mapping[Claim, Comparison]
    checked: Mapping[tuple[str, str, str | None], Checked]
    """By regression set, candidate and score."""
    candidates: Sequence[str]
    baseline: str
    confidence: float
    seed: int


def judged(rule: Rule, evidence: Evidence) -> Judged:
    """Whether a rule holds for all candidates that it is about."""
    spec = rule.spec
    who = concerned(spec, evidence.candidates, evidence.baseline)
    if spec.regressions is not None:
        results = [_no_regression(spec, each, evidence) for each in who]
    elif spec.at_least is not None or spec.at_most is not None:
        results = [_threshold(spec, each, evidence) for each in who]
    else:
        claims = claims_of_rule(spec, evidence.candidates, evidence.baseline)
        results = [_claim(spec, claim, evidence) for claim in claims]
    passed = bool(results) and all(holds for holds, _ in results)
    shown = [text for holds, text in results if passed or not holds]
    return Judged(str(spec), passed, "; ".join(shown) or "it is about no candidate", who)


def _column(name: str | None, evidence: Evidence) -> Column | None:
    return next((column for column in evidence.columns if column.name == name), None)


def _threshold(spec: GateRuleSpec, candidate: str, evidence: Evidence) -> tuple[bool, str]:
    column = _column(spec.score, evidence)
    if column is None or candidate not in column.values:
        return False, f"{candidate} cannot be decided: it has no {spec.score} on these rows"
    value = column.value(candidate)
    interval = column.interval(candidate, evidence.confidence, evidence.seed)
    sign, limit = (1, spec.at_least) if spec.at_least is not None else (-1, spec.at_most or 0.0)
    end = None if interval is None else interval.low if sign > 0 else interval.high
    words = f"at {'least' if sign > 0 else 'most'} {limit:g}"
    shown = "" if interval is None else f" ({interval.low:.3f} … {interval.high:.3f})"
    text = f"{candidate}: {spec.score} is {value:.3f}{shown} on {len(column.rows)} rows, must be {words}"
    if spec.measured or sign * value < sign * limit:
        return sign * value >= sign * limit, text
    if end is None:
        return False, f"{text}: too few rows for an interval"
    if sign * end < sign * limit:
        return False, f"{text}: not enough evidence, the interval contains worse values"
    if column.unseen(candidate, end, limit) > 1 - evidence.confidence:
        return False, f"{text}: not enough evidence, so few {column.units} may miss worse ones"
    return True, text


def _claim(spec: GateRuleSpec, claim: Claim, evidence: Evidence) -> tuple[bool, str]:
    found = evidence.found.get(claim)
    if found is None:
        what = f"{claim.candidate} and {claim.base} have no row with {claim.score} in common"
        return False, f"{claim.candidate} cannot be decided: {what}"
    shown = "" if found.interval is None else f" ({found.interval.low:+.3f} … {found.interval.high:+.3f})"
    text = f"{claim.candidate}: {found.verdict}, {claim.score} {found.delta:+.3f}{shown} against {claim.base}"
    text = f"{text}, p {found.p_corrected:.2g}, {found.n} rows"
    if claim.margin is None:
        return found.verdict == "better", text
    return found.verdict == "not worse", f"{text}, margin {claim.margin:g}"


def _no_regression(spec: GateRuleSpec, candidate: str, evidence: Evidence) -> tuple[bool, str]:
    checked = evidence.checked[spec.regressions or "", candidate, spec.score]
    text = f"{candidate}: {len(checked.worse)} of {checked.rows} rows of {spec.regressions} got worse"
    if checked.worse:
        text = f"{text} ({', '.join(each.id for each in checked.worse[:3])}{', …' if len(checked.worse) > 3 else ''})"
    text = f"{text}, {spec.allowed} allowed"
    if checked.not_required:
        text = f"{text}; {checked.not_required} rows require no {spec.score}"
    if checked.undecided:
        return False, f"{text}; {checked.undecided} rows cannot be decided: {checked.why}"
    if not checked.rows:
        return False, f"{candidate} cannot be decided: no row of {spec.regressions} requires {spec.score or 'a score'}"
    return len(checked.worse) <= spec.allowed, text
