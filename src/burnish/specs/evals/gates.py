"""Settings of the gate of a comparison: rules, in a recipe or in a file."""

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from burnish.specs.base import Listed, Spec, Takes, is_a_reference


class GateRuleSpec(Spec):
    """One rule of a gate: `at_least`, `at_most`, `not_worse_than`, `better_than` or `regressions`."""

    score: str | None = None
    """The name of a score, or bits_per_byte or perplexity."""
    candidate: str | None = None
    """The candidate that the rule is about; without it all but the baseline, or the one it is compared with."""
    at_least: float | None = None
    """The score is at least this: its interval lies at or above."""
    at_most: float | None = None
    """The score is at most this: its interval lies at or below."""
    measured: bool = False
    """For at_least and at_most: the measured value decides, without its interval."""
    not_worse_than: str | None = None
    """The candidate is worse than this one by less than `margin`."""
    margin: float | None = Field(default=None, gt=0.0)
    """The margin of not_worse_than, in units of the score."""
    better_than: str | None = None
    """The candidate is better than this one."""
    regressions: str | None = None
    """The name of a regression set, in `regressions`: no row of it may get worse."""
    allowed: int = Field(default=0, ge=0)
    """Rows of the regression set that may get worse."""

    @model_validator(mode="after")
    def has_one_condition(self) -> "GateRuleSpec":
        values = self.__dict__
        kinds = ("at_least", "at_most", "not_worse_than", "better_than", "regressions")
        given = [name for name in kinds if values[name] is not None]
        if len(given) != 1:
            found = f"it has {' and '.join(given)}" if given else "it has none"
            raise ValueError(f"a rule has one of {', '.join(kinds)}; {found}")
        kind = given[0]
        if values["score"] is None and kind != "regressions":
            raise ValueError(f"a rule with {kind} names a score")
        if (values["margin"] is not None) != (kind == "not_worse_than"):
            raise ValueError("margin belongs to not_worse_than, which needs it")
        if values["allowed"] and kind != "regressions":
            raise ValueError("allowed belongs to regressions")
        if values["measured"] and kind not in ("at_least", "at_most"):
            raise ValueError("measured belongs to at_least and at_most")
        return self

    def __str__(self) -> str:
        """The rule as YAML on one line, of what is set."""
        values = self.__dict__
        set_fields = [name for name in type(self).__pydantic_fields__ if name in self.__pydantic_fields_set__]
        words = [
            f"{name}: {str(values[name]).lower() if values[name] is True else values[name]}" for name in set_fields
        ]
        return f"{{{', '.join(words)}}}"


class GateSpec(Spec):
    """The content of a gate file."""

    rules: list[GateRuleSpec] = Field(min_length=1)
    """The rules; all must hold."""


RULES = Listed(GateSpec, "rules", "a gate is a list of rules", "- {score: exact_match, at_least: 0.8}")
GateRef = Annotated[str, Takes(("file",)), RULES, AfterValidator(is_a_reference)]
