"""Which comparisons are made, and their results: every pair that a person or a gate asks about, corrected together."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from burnish.evals.comparison.table import Column
from burnish.evals.statistics.holm import corrected
from burnish.evals.statistics.paired import Comparison, compare_ratios, compare_scores
from burnish.evals.statistics.sequential import levels, sequential_p
from burnish.specs.evals import GateRuleSpec


@dataclass(frozen=True)
class Claim:
    """One question: is `candidate` better, or worse, than `base` on a score, or, with a margin, not worse."""

    score: str
    base: str
    candidate: str
    margin: float | None = None


@dataclass(frozen=True)
class Settings:
    """The level and the seed of all comparisons."""

    confidence: float
    seed: int


@dataclass
class Looks:
    """The looks so far: the shares of the rows, and the p-values of each claim at each look."""

    fractions: list[float] = field(default_factory=list[float])
    p_values: dict[Claim, list[float]] = field(default_factory=dict[Claim, list[float]])

    def confidence(self, confidence: float) -> float:
        """The confidence of an interval at the newest look: all looks together contain the truth as often as stated."""
        return 1 - levels(tuple(self.fractions), 1 - confidence)[-1] if self.fractions else confidence

    def corrected(self, claim: Claim, p_value: float) -> float:
        """The p-value that is valid at any look."""
        if not self.fractions:
            return p_value
        seen = self.p_values.setdefault(claim, [1.0] * (len(self.fractions) - 1))
        seen.append(p_value)
        return sequential_p(seen, self.fractions)


def scored_by(columns: Iterable[Column]) -> dict[str, list[str]]:
    """The candidates that have a score, for every score that is compared."""
    return {column.name: list(column.values) for column in columns if column.is_compared}


def claims_of(
    scored: Mapping[str, Sequence[str]], baseline: str, margins: Mapping[str, float], rules: Iterable[GateRuleSpec]
) -> list[Claim]:
    """Every other candidate against the baseline on every score, those with a margin, and those of the gate's rules.

    `scored` has the candidates of each score.
    """
    found: dict[Claim, None] = {}
    for score, candidates in scored.items():
        for candidate in candidates:
            if candidate != baseline and baseline in candidates:
                found[Claim(score, baseline, candidate)] = None
                if score in margins:
                    found[Claim(score, baseline, candidate, margins[score])] = None
    for rule in rules:
        candidates = scored.get(rule.score or "", ())
        for claim in claims_of_rule(rule, candidates, baseline):
            if {claim.base, claim.candidate} <= set(candidates):
                found[claim] = None
    return list(found)


def claims_of_rule(rule: GateRuleSpec, candidates: Sequence[str], baseline: str) -> list[Claim]:
    """The claims that a rule of the gate rests on; none for thresholds and regression sets."""
    base = rule.not_worse_than or rule.better_than
    if base is None or rule.score is None:
        return []
    return [Claim(rule.score, base, each, rule.margin) for each in concerned(rule, candidates, baseline)]


def concerned(rule: GateRuleSpec, candidates: Sequence[str], baseline: str) -> list[str]:
    """The candidates that a rule is about."""
    if rule.candidate is not None:
        return [rule.candidate]
    base = rule.not_worse_than or rule.better_than or baseline
    return [each for each in candidates if each != base]


def compared(
    claims: Sequence[Claim], columns: Sequence[Column], settings: Settings, looks: Looks
) -> dict[Claim, Comparison]:
    """The comparison of every claim, with p-values corrected over all claims and looks, and verdicts."""
    by_name = {column.name: column for column in columns}
    confidence = looks.confidence(settings.confidence)
    found: list[Comparison] = []
    for claim in claims:
        made = _compare(by_name[claim.score], claim, replace(settings, confidence=confidence))
        found.append(replace(made, p_value=looks.corrected(claim, made.p_value)))
    return dict(zip(claims, corrected(found, settings.confidence), strict=True))


def is_decided(found: Mapping[Claim, Comparison]) -> bool:
    """Whether every comparison has a verdict that more rows would not change."""
    return all(one.verdict in ("better", "worse", "not worse") for one in found.values())


def _compare(column: Column, claim: Claim, settings: Settings) -> Comparison:
    base, candidate = column.values[claim.base], column.values[claim.candidate]
    shared = {"confidence": settings.confidence, "seed": settings.seed, "margin": claim.margin}
    if column.kind == "score":
        return compare_scores(column.name, base[:, 0], candidate[:, 0], clusters=column.labels, **shared)
    pair = (base[:, 0], base[:, 1]), (candidate[:, 0], candidate[:, 1])
    return compare_ratios(column.name, *pair, clusters=column.labels, higher_is_better=False, **shared)
