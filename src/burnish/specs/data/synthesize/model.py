"""Settings of the generator of rows by a language model."""

from typing import Literal

from pydantic import Field, model_validator

from burnish.specs.base import DataRef, Device, FileRef, PrintedDate, RunnableRef, Spec, Threads, TokenizerRef
from burnish.specs.endpoints import EndpointSpec

Made = Literal["instruction", "conversation", "preference", "tools", "evolved", "magpie", "answers", "ranked"]
GIVEN = ("evolved", "answers", "ranked")
"""What is made from given rows."""
OF_GIVEN_PROMPTS = ("answers", "ranked")
"""What has the prompts of given rows, at most a row for each."""
_TOPICAL = ("instruction", "conversation", "preference", "tools")


class ScoringSpec(Spec):
    """A judge that scores each row from 0 to 1; those below a threshold are refused."""

    threshold: float = Field(default=0.7, ge=0.0, le=1.0)
    """The lowest score of a row that is kept. The judge gives whole points from 1 to 10: 1 is 0, and 10 is 1."""
    endpoint: EndpointSpec | None = None
    """The judge; by default the model that makes the rows."""
    prompt: FileRef | None = None
    """A file with the request to the judge, instead of the built-in one."""


class ModelSpec(Spec):
    """Rows made by a language model behind an OpenAI-compatible endpoint, or by a local one."""

    kind: Literal["model"] = "model"
    make: Made = "instruction"
    """`instruction`: a question and its answer; `conversation`: several turns; `preference`: a good and a worse answer;
    `tools`: calls of tools; `evolved`: harder variants of given rows; `magpie`: questions that the model itself writes
    into an empty user turn; `answers`: answers to given prompts; `ranked`: several answers to a given prompt, of which
    a judge's best and worst become a preference pair."""
    endpoint: EndpointSpec | None = None
    """The model, if it is behind an endpoint. Its temperature and max_tokens are those below, unless they are set."""
    model: RunnableRef | None = None
    """The model, if it is a local model, adapter or GGUF file."""
    rows: int | None = Field(default=None, ge=1, le=1_000_000)
    """Number of rows; null: 100, or with given prompts as many as there are."""
    topics: list[str] = []
    """What the rows are about, in turn."""
    subtopics: int = Field(default=0, ge=0, le=1000)
    """Let the model first list so many subtopics of each topic, which take its place."""
    languages: list[Literal["en", "zh"]] = Field(default=["en"], min_length=1)
    """The languages of the rows, in turn, and of the built-in prompts."""
    given: DataRef | None = None
    """Rows to start from: the prompts of `answers` and `ranked`, what `evolved` changes, and examples for the others.
    No row that is made nearly equals one of them."""
    split: str = "train"
    """The split of `given`, if it is a prepared dataset."""
    examples: int = Field(default=2, ge=0, le=20)
    """How many of the given rows each request shows as examples."""
    turns: int = Field(default=4, ge=2, le=40, multiple_of=2)
    """Turns of a conversation."""
    tools: FileRef | None = None
    """A JSON file: a list of tools as the protocol has them. Without one the model makes some for each topic."""
    results: bool = True
    """Whether rows with calls go on with results that the model simulates, and the answer after them."""
    candidates: int = Field(default=4, ge=2, le=64)
    """Answers to each prompt of `ranked`."""
    system: str | None = None
    """A system prompt of the model: before each request, and in the template of `magpie`. Rows do not contain it."""
    prompt: FileRef | None = None
    """A file with the request, instead of the built-in one, for every language; {topic}, {number} … are replaced."""
    tokenizer: TokenizerRef | None = None
    """For `magpie`: the tokenizer of the endpoint's model, with its chat template."""

    temperature: float = Field(default=0.8, ge=0.0)
    """Sampling temperature."""
    max_tokens: int = Field(default=1024, ge=1)
    """Maximum length of a reply."""
    seed: int = Field(default=0, ge=0, le=2**30)
    """Seed of the requests, of the order of examples, and of the ways to evolve."""
    response_format: Literal["auto", "json_schema", "json_object", "none"] = "auto"
    """How an endpoint is made to reply in JSON. `auto` tries json_schema, then json_object, then only the prompt. The
    schema of the reply is checked in any case."""
    attempts: int = Field(default=3, ge=1, le=9)
    """How often a request is sent until its reply can be used."""
    excess: float = Field(default=2.0, ge=1.0, le=100.0)
    """Give up after this many times as many requests as rows, if too many rows are refused."""
    near_duplicates: float | None = Field(default=0.7, gt=0.0, le=1.0)
    """Refuse a row whose prompt resembles that of an earlier or given row: the share of common word 5-grams (Jaccard).
    null refuses none. Given prompts are not compared."""
    judge: ScoringSpec | None = None
    """Score each row, and refuse bad ones. `ranked` always has a judge."""
    date: PrintedDate = "auto"
    """The date that the chat template of `magpie` or of a local model prints, YYYY-MM-DD. `auto`: the date used in the
    model's training, else in an earlier run of the same step, else today. Part of the fingerprint if it is printed."""
    device: Device = "auto"
    """The device of a local model."""
    threads: Threads = "auto"
    """CPU threads of a local model."""

    @model_validator(mode="after")
    def one_model_makes_the_rows(self) -> "ModelSpec":
        values = self.__dict__
        if (values["endpoint"] is None) == (values["model"] is None):
            raise ValueError("give either endpoint or model")
        if values["make"] == "magpie" and values["model"] is None and values["tokenizer"] is None:
            raise ValueError("magpie needs the chat template of the model: set tokenizer to a folder or model with it")
        return self

    @model_validator(mode="after")
    def rows_are_made_from_what_is_given(self) -> "ModelSpec":
        values = self.__dict__
        if values["make"] in GIVEN and values["given"] is None:
            raise ValueError(f"make: {values['make']} needs given: a file or dataset with prompts")
        if values["subtopics"] and not values["topics"]:
            raise ValueError("subtopics are those of topics: set topics")
        if any(not topic.strip() for topic in values["topics"]):
            raise ValueError("a topic is empty")
        if len(set(values["languages"])) < len(values["languages"]):
            raise ValueError("languages names one twice")
        return self

    @model_validator(mode="after")
    def settings_have_an_effect(self) -> "ModelSpec":
        make = self.__dict__["make"]
        for name in self.model_fields_set:
            if make not in _MAKES_WITH.get(name, (make,)):
                raise ValueError(f"{name} has no effect with make: {make}, only with {', '.join(_MAKES_WITH[name])}")
        if self.__dict__["given"] is None and {"split", "examples"} & self.model_fields_set:
            raise ValueError("split and examples are those of given: set given")
        if self.__dict__["model"] is not None and "response_format" in self.model_fields_set:
            raise ValueError("a local model has no response_format: serve it with `burnish serve`, and use endpoint")
        if self.__dict__["model"] is None and {"device", "threads"} & self.model_fields_set:
            raise ValueError("device and threads are those of a local model: set model, or remove them")
        if self.__dict__["model"] is None and make != "magpie" and "date" in self.model_fields_set:
            raise ValueError("date is printed by the template of magpie or of a local model: remove it")
        return self


_MAKES_WITH: dict[str, tuple[Made, ...]] = {
    "topics": _TOPICAL,
    "subtopics": _TOPICAL,
    "languages": (*_TOPICAL, "evolved", "magpie"),
    "given": (*_TOPICAL, "evolved", "answers", "ranked"),
    "split": (*_TOPICAL, "evolved", "answers", "ranked"),
    "examples": _TOPICAL,
    "turns": ("conversation",),
    "tools": ("tools",),
    "results": ("tools",),
    "candidates": ("ranked",),
    "prompt": (*_TOPICAL, "evolved"),
    "tokenizer": ("magpie",),
    "response_format": (*_TOPICAL, "evolved"),
    "excess": (*_TOPICAL, "evolved", "magpie"),
    "near_duplicates": (*_TOPICAL, "evolved", "magpie"),
}
"""The fields that only some of what is made has."""
