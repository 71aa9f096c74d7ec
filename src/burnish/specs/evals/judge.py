"""Settings of `judge`: which answers are judged, by which models, how, and on which scales."""

from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, Field, model_validator

from burnish.specs.base import Spec, Takes, is_a_reference
from burnish.specs.endpoints import EndpointSpec
from burnish.specs.evals.clusters import ClusterColumn
from burnish.specs.evals.rubrics import RUBRICS

AnswersRef = Annotated[str, Takes(("evaluation", "generations", "file")), AfterValidator(is_a_reference)]
"""Answers: the result of `evaluate` or `generate`, or a file of any layout with a column of answers."""

Level = Literal["nominal", "ordinal", "interval"]


class ScaleSpec(Spec):
    """The verdicts that a judge may give: whole numbers from `low` to `high`, or `labels`.

    Short forms: `1-5`, and a list of labels from the worst to the best.
    """

    low: float = 1
    """The worst number; its score is 0."""
    high: float = 5
    """The best number; its score is 1."""
    whole: bool = True
    """Whether only whole numbers are allowed."""
    labels: dict[str, float] = {}
    """Words instead of numbers, each with its score from 0 to 1, such as `{wrong: 0, partly: 0.5, right: 1}`."""
    levels: dict[str, str] = {}
    """What a number or a label means, for the judge."""
    measured: Level | None = None
    """How agreement treats the scale: only equal or not (`nominal`), ordered, or with distances. By default numbers are
    `ordinal`, and labels too, if their scores differ."""

    @model_validator(mode="before")
    @classmethod
    def short_forms_are_accepted(cls, value: Any) -> Any:
        if isinstance(value, str):
            low, dash, high = value.strip().partition("-")
            if not dash or not low.strip().isdecimal() or not high.strip().isdecimal():
                raise ValueError(f"'{value}' is not a scale: write 1-5, or a list of labels from the worst to the best")
            return {"low": int(low), "high": int(high)}
        if isinstance(value, list):
            return {"labels": evenly(cast(list[Any], value))}
        if isinstance(value, dict):
            given = cast(dict[str, Any], value)
            return {name: _with_words(member) if name in _BY_WORD else member for name, member in given.items()}
        return value

    @model_validator(mode="after")
    def the_scale_has_two_points(self) -> "ScaleSpec":
        values = self.__dict__
        labels: dict[str, float] = values["labels"]
        if labels:
            if len(labels) < 2 or any(not name.strip() for name in labels):
                raise ValueError("a scale needs two labels or more, none of them empty")
            if len({name.strip().casefold() for name in labels}) < len(labels):
                raise ValueError("two labels differ only in case or white space")
            if any(not 0 <= score <= 1 for score in labels.values()):
                raise ValueError("the score of a label is from 0 to 1")
            if {"low", "high", "whole"} & self.model_fields_set:
                raise ValueError("a scale of labels has no low, high or whole: remove them")
        elif values["low"] >= values["high"]:
            raise ValueError(f"low {values['low']:g} must be below high {values['high']:g}")
        elif values["whole"] and not (values["low"].is_integer() and values["high"].is_integer()):
            raise ValueError("low and high of a scale of whole numbers must be whole; or set whole: false")
        known = set(labels) if labels else None
        for name in values["levels"]:
            if known is not None and name not in known:
                raise ValueError(f"levels names '{name}', which is no label of the scale")
            if known is None and not _is_between(name, values["low"], values["high"]):
                raise ValueError(f"levels names '{name}', which is no number of the scale")
        return self


_BY_WORD = ("labels", "levels")


def _with_words(value: Any) -> Any:
    """A mapping whose keys are words: YAML reads `1:` as a number, and may read `no:` as false."""
    if not isinstance(value, dict):
        return value
    return {_word(key): member for key, member in cast(dict[Any, Any], value).items()}


def _word(label: Any) -> str:
    if label is None or isinstance(label, bool):
        raise ValueError(f"the label {label} is not a word: write it in quotes")
    return str(label)


def evenly(labels: list[Any]) -> dict[str, float]:
    """Labels from the worst to the best, with evenly spaced scores."""
    names = [_word(label) for label in labels]
    if len(set(names)) < len(names) or len(names) < 2:
        raise ValueError("a scale needs two labels or more, each once")
    return {name: place / (len(names) - 1) for place, name in enumerate(names)}


def _is_between(text: str, low: float, high: float) -> bool:
    try:
        return low <= float(text) <= high
    except ValueError:
        return False


class CriterionSpec(Spec):
    """One question to the judge, with its scale."""

    name: str = Field(pattern=r"^[^\W\d][\w-]*$")
    """The name of the score, and of the field in the judge's reply."""
    description: str
    """What the judge looks at."""
    scale: ScaleSpec = ScaleSpec()
    """The verdicts that it may give."""
    weight: float = Field(default=1.0, gt=0.0)
    """Weight in `overall`."""


class ColumnsSpec(Spec):
    """The columns of files. Without a name, a usual one is found and reported; several usual ones are an error."""

    id: str | None = None
    """Identifies a row; answers, references and other answers are joined by it."""
    prompt: str | None = None
    """What was asked: a text, or turns."""
    answer: str | None = None
    """What is judged."""
    other: str | None = None
    """The second answer of a pair, if it is in the same file."""
    reference: str | None = None
    """The reference answer."""
    context: str | None = None
    """Text that the answer must keep to."""
    tag: str | None = None
    """A group of rows, for scores by tag."""


class JudgeSpec(Spec):
    """Judge answers by a rubric, a reference, or in pairs.

    Answers come from a result or a file, verdicts from language models behind OpenAI-compatible endpoints.
    """

    answers: AnswersRef
    """What is judged: the result of `evaluate` or `generate`, or a file (JSON, JSONL, CSV, parquet, text lines)."""
    against: AnswersRef | None = None
    """For pairs: the other answers to the same prompts."""
    references: AnswersRef | None = None
    """A file with references (and prompts), if they are not beside the answers."""
    columns: ColumnsSpec = ColumnsSpec()
    """The columns of `answers`."""
    against_columns: ColumnsSpec = ColumnsSpec()
    """The columns of `against`."""
    reference_columns: ColumnsSpec = ColumnsSpec()
    """The columns of `references`."""
    join: Literal["auto", "id", "order"] = "auto"
    """How rows of several files belong together: by id, or by their order if the files have as many rows. `auto`: by id
    where all have one."""
    max_rows: int | None = Field(default=None, ge=1)
    """Judge the first rows only."""

    mode: Literal["rubric", "reference", "pairwise"] = "rubric"
    """Score each answer by criteria, compare it with its reference, or choose between two answers in both orders."""
    rubric: str | None = None
    """A built-in rubric: correctness, helpfulness, safety or faithfulness. `burnish rubrics NAME` prints it."""
    criteria: list[CriterionSpec] = []
    """One's own criteria. Of several, `overall` is the weighted mean."""
    verdicts: Literal["binary", "graded"] = "graded"
    """With a reference: correct or incorrect; or also partly correct, with the score 0.5."""
    threshold: float | None = Field(default=None, ge=0.0, le=1.0)
    """Also count as `pass` the answers whose (overall) score reaches this."""
    language: Literal["en", "zh"] = "en"
    """The language of the built-in prompts and rubrics."""
    system: str | None = None
    """A system prompt."""
    prompt: str | None = None
    """The request to the judge, instead of the built-in one: {prompt}, {answer} (for pairs {first} and {second}),
    {reference}, {context}, {extra.COLUMN}; {criteria} and {format} describe the verdict."""
    reason: bool = True
    """Let the judge give a reason before its verdict."""

    judge: EndpointSpec
    """The model that judges."""
    panel: list[EndpointSpec] = []
    """Further judges, each of which judges everything too."""
    combine: Literal["mean", "majority"] = "mean"
    """How the verdicts of several judges and repeats become one score."""
    repeats: int = Field(default=1, ge=1, le=100)
    """How often each judge is asked the same; the agreement between repeats is measured. Set a temperature with it."""
    seed: int | None = 0
    """The `seed` of the first repeat, and one more for each further one; null sends none."""
    response_format: Literal["auto", "json_schema", "json_object", "none"] = "auto"
    """How the endpoint is made to reply in JSON. `auto` tries json_schema, then json_object, then only the prompt. The
    schema of the reply is checked in any case."""
    unanswered: Literal["stop", "missing"] = "stop"
    """When an endpoint gives no answer after all retries: stop the run, which can be resumed, or count the verdict as
    missing. A request that it refuses by itself (status 400, 413, 422) is missing in both cases."""
    max_missing: float = Field(default=0.05, ge=0.0, le=1.0)
    """Warn if a larger share of the verdicts is missing."""

    human: dict[str, str] = {}
    """Columns of `answers` with verdicts of people, by criterion; their agreement with the judge is measured."""
    cluster: ClusterColumn = None
    confidence: float = Field(default=0.95, gt=0.5, lt=1.0)
    """Confidence level of the intervals."""
    bootstrap_seed: int = 0
    """Random seed of the bootstrap."""

    @model_validator(mode="after")
    def the_mode_has_what_it_needs(self) -> "JudgeSpec":
        values, given = self.__dict__, self.model_fields_set
        mode, rubric = values["mode"], values["rubric"]
        if rubric is not None and rubric not in RUBRICS:
            raise ValueError(f"there is no rubric '{rubric}': {', '.join(RUBRICS)}")
        if rubric is not None and values["criteria"]:
            raise ValueError("set either rubric or criteria; `burnish rubrics NAME` prints a rubric as criteria")
        if mode == "rubric" and rubric is None and not values["criteria"]:
            raise ValueError(f"set rubric ({', '.join(RUBRICS)}) or criteria")
        if mode == "pairwise" and values["against"] is None and values["columns"].__dict__["other"] is None:
            raise ValueError("pairs need the other answers: set against, or columns.other")
        for name, modes in _OF_MODES.items():
            if name in given and mode not in modes:
                raise ValueError(f"{name} has no effect with mode: {mode}, only with {' or '.join(modes)}")
        names = [criterion.__dict__["name"] for criterion in values["criteria"]]
        if len(set(names)) < len(names) or _RESERVED & set(names):
            raise ValueError(f"criteria need different names, none of them {', '.join(sorted(_RESERVED))}")
        return self

    @model_validator(mode="after")
    def the_prompt_shows_what_is_judged(self) -> "JudgeSpec":
        text, pair = self.__dict__["prompt"], self.__dict__["mode"] == "pairwise"
        needed = ("{first}", "{second}") if pair else ("{answer}",)
        if text is not None and any(name not in text for name in needed):
            raise ValueError(f"the prompt must contain {' and '.join(needed)}")
        return self


_OF_MODES = {
    "rubric": ("rubric",),
    "criteria": ("rubric", "pairwise"),
    "verdicts": ("reference",),
    "threshold": ("rubric", "reference"),
    "against": ("pairwise",),
    "against_columns": ("pairwise",),
}
MEASURES = (
    *("rows", "replies", "missing", "missing_share", "requests", "cached", "prompt_tokens", "reply_tokens", "cost"),
    *("won", "lost", "tied", "inconsistent", "p_value", "verdict"),
)
"""The measures of a judgement that are not scores."""
_RESERVED = {"reason", "overall", "pass", "winner", *MEASURES}
