"""Settings of `compare`: the candidates, what is claimed of them, and the gate."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, cast

from pydantic import AfterValidator, Field, field_validator, model_validator

from burnish.specs.base import DataRef, Operands, Spec, Takes, is_a_reference, short_name
from burnish.specs.endpoints import EndpointSpec
from burnish.specs.evals.gates import GateRef, GateRuleSpec
from burnish.specs.evals.measuring import MeasuringSpec

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_URL = re.compile(r"(https?://[^#]+)#(.+)", re.DOTALL)


def named_candidate(text: str) -> tuple[str, str]:
    """(name, reference) of `name=reference`, or of a reference, which gives the name."""
    name, sign, ref = text.partition("=")
    if sign and _NAME.fullmatch(name):
        return name, ref
    address = _URL.fullmatch(text)
    last = address[2] if address else short_name(text)
    if ":" not in text and "@" in text:  # an artifact: `short` of compare.short@latest, `short-3` of compare.short@3
        last = text.rpartition(".")[2].removesuffix("@latest")
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", last).strip("-")
    return (plain if _NAME.fullmatch(plain) else f"_{plain}"), text


CandidateRef = Annotated[str, Takes(("model", "adapter", "gguf", "evaluation")), AfterValidator(is_a_reference)]
RegressionRef = Annotated[str, Takes(("file", "comparison")), AfterValidator(is_a_reference)]


class CandidateSpec(Spec):
    """One candidate: a reference, or an endpoint. `URL#MODEL` is an endpoint."""

    ref: CandidateRef | None = None
    """A model, an adapter, a GGUF file, or an artifact of `evaluate` or `judge`, whose scores are read."""
    endpoint: EndpointSpec | None = None
    """A model behind an OpenAI-compatible endpoint. Its temperature and length are those of `generation`, unless they
    are set."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if isinstance(value, str):
            address = _URL.fullmatch(value)
            return {"endpoint": {"url": address[1], "model": address[2]}} if address else {"ref": value}
        if isinstance(value, Mapping) and "url" in value:
            return {"endpoint": cast(Any, value)}
        return cast(Any, value)

    @model_validator(mode="after")
    def has_one_source(self) -> "CandidateSpec":
        if (self.__dict__["ref"] is None) == (self.__dict__["endpoint"] is None):
            raise ValueError("a candidate has either a ref or an endpoint")
        return self


class CompareSpec(MeasuringSpec):
    """Compare models, endpoints and evaluations on the same rows.

    Every candidate is compared with the baseline, with one control of the error over all comparisons.
    """

    candidates: Annotated[dict[str, CandidateSpec], Operands(named_candidate)] = Field(min_length=2)
    """What is compared, by name: references, endpoints, or a list of `name=reference`."""
    baseline: str | None = None
    """The candidate that the others are compared with; the first one if it is not set."""
    data: DataRef | None = None  # pyright: ignore[reportIncompatibleVariableOverride]
    """A prepared dataset, or a file. Without it all candidates are evaluations, on the rows of the first."""
    margins: dict[str, Annotated[float, Field(gt=0.0)]] = {}
    """Also test, for a score, that a candidate is worse than the baseline by less than this margin."""
    gate: GateRef | list[GateRuleSpec] | None = None
    """Rules that must hold, or a YAML file of them; if one fails, so does the command."""
    regressions: dict[str, RegressionRef] = {}
    """Rows that must not get worse, by name: a file of row ids or rows, or a comparison, of whose baseline's right
    answers they are."""
    looks: int = Field(default=1, ge=1, le=20)
    """Test after each of this many equal parts of the rows, in random order, and stop once all is decided; the error of
    all looks together is controlled."""
    stop_after: int | None = Field(default=None, ge=1)
    """Stop after this look, decided or not."""
    power: float = Field(default=0.8, gt=0.5, lt=1.0)
    """The chance of finding a difference that the minimum detectable one refers to."""
    discordance: float = Field(default=0.1, gt=0.0, le=1.0)
    """Assumed before the run: the share of rows on which two candidates differ (the variance of a row's difference)."""
    detect: float | None = Field(default=None, gt=0.0, lt=1.0)
    """A difference that you want to find: the rows that it needs are reported."""

    @field_validator("candidates", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        """`[builtin:pocket, tuned=step:tune]` is `{pocket: builtin:pocket, tuned: step:tune}`."""
        if not isinstance(value, list):
            return value
        named: dict[str, Any] = {}
        for item in cast(list[Any], value):
            name, ref = named_candidate(item) if isinstance(item, str) else ("", item)
            if not name:
                raise ValueError("a list of candidates has references, or name=reference")
            if name in named:
                raise ValueError(f"two candidates are called '{name}': write NAME={ref}")
            named[name] = ref
        return named

    @field_validator("candidates", "regressions")
    @classmethod
    def names_are_plain(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in value:
            if not _NAME.fullmatch(name):
                raise ValueError(f"'{name}' is not a name: use letters, digits, - and _, and start with a letter")
        return value

    @model_validator(mode="after")
    def settings_fit(self) -> "CompareSpec":
        values = self.__dict__
        names = list(values["candidates"])
        if values["baseline"] is not None and values["baseline"] not in names:
            raise ValueError(f"baseline: there is no candidate '{values['baseline']}'; there are {', '.join(names)}")
        if values["stop_after"] is not None and values["stop_after"] > values["looks"]:
            raise ValueError(f"stop_after: {values['stop_after']} is more than looks: {values['looks']}")
        if any(scorer.kind == "multiple_choice" for scorer in values["scorers"]):
            raise ValueError("scorers: multiple_choice belongs to evaluate; compare the evaluations")
        if isinstance(values["gate"], list) and not values["gate"]:
            raise ValueError("gate: it has no rules")
        return self
