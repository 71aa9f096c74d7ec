"""The names in the rules of a gate: refused when the comparison is planned, as far as they are known then."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from burnish.core.context import Input
from burnish.core.errors import AskError
from burnish.core.files import read_json
from burnish.core.naming import nearest

if TYPE_CHECKING:
    from burnish.specs.evals import CompareSpec, GateRuleSpec


@dataclass(frozen=True)
class Rule:
    """A rule and its place (`gate.yaml:3`) for messages."""

    spec: "GateRuleSpec"
    place: str


def refuse_unknown(
    rules: Sequence[Rule], scores: Sequence[str] | None, candidates: Sequence[str], sets: Sequence[str]
) -> None:
    """Refuse a rule that names what is unknown; `scores` are None if they are not known yet.

    Errors: AskError `ask.bad-reference` for an unknown score, candidate or regression set.
    """
    for rule in rules:
        spec = rule.spec
        names = [
            ("score", spec.score, scores),
            *(("candidate", each, candidates) for each in (spec.candidate, spec.not_worse_than, spec.better_than)),
            ("regression set", spec.regressions, sets),
        ]
        for what, name, known in names:
            if name is not None and known is not None and name not in known:
                fix = nearest(name, known) if known else _how_to_add(what)
                raise AskError("ask.bad-reference", f"there is no {what} '{name}'", fix, place=rule.place)
        if spec.candidate is not None and spec.candidate in (spec.not_worse_than, spec.better_than):
            what = f"the candidate '{spec.candidate}' is compared with itself"
            raise AskError("ask.wrong-value", what, "name another candidate", place=rule.place)


def scores_of(spec: "CompareSpec", inputs: Mapping[str, Input]) -> list[str] | None:
    """The scores that the candidates will have; None if a scorer of another package, or an evaluation that is not there
    yet, names its own.

    `inputs` are those of the step, by path.
    """
    from burnish.specs.evals.scorers import score_names

    found: dict[str, None] = {}
    for name, candidate in spec.candidates.items():
        value = inputs.get(f"candidates.{name}.ref")
        if value is not None and value.kind == "evaluation":
            names = _recorded(value)
        else:
            names = score_names(spec.scorers)
            if names is not None and spec.perplexity and candidate.endpoint is None:
                names = [*names, *LIKELIHOODS]
        if names is None:
            return None
        found |= dict.fromkeys(names)
    return list(found)


LIKELIHOODS = ("bits_per_byte", "perplexity")


def _recorded(evaluation: Input) -> list[str] | None:
    """The scores that an evaluation has; None if it is not there yet, or does not say."""
    try:
        found: Any = read_json(evaluation.path / "metrics.json")
        return [*found["scores"], *found["likelihood"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _how_to_add(what: str) -> str:
    if what == "regression set":
        return "name the file in `regressions`: {core: file:core.jsonl} (on the command line --regressions core=FILE)"
    return "name a scorer, or set perplexity: true"
