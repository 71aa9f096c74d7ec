"""Where rows come from and how they are made ready: `synthesize` and `prepare`."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from burnish.specs.base import DataRef, Spec, TokenizerRef
from burnish.specs.tokens import RenderSpec

Format = Literal[
    "auto",
    "messages",
    "sharegpt",
    "gemini",
    "alpaca",
    "instruction_response",
    "input_output",
    "prompt_completion",
    "prompt_response",
    "prompt_answer",
    "query_response",
    "question_answer",
    "question_response",
    "problem_solution",
    "squad",
    "transcript",
    "text",
    "prompt",
    "preference",
    "compared",
    "scored",
    "kto",
]
Role = Literal["system", "user", "assistant", "tool", "function_call"]


def _is_an_encoding(name: str) -> str:
    """Accept the name of a text encoding that Python knows."""
    try:
        b"a".decode(name, "replace")
    except LookupError:
        raise ValueError(f"'{name}' is no text encoding: write utf-8, gb18030, latin-1, shift_jis or another") from None
    return name


def _as_word(value: Any) -> Any:
    """A whole number, such as the year 2024, as a word."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Encoding = Annotated[str, AfterValidator(_is_an_encoding)]
Subset = Annotated[str, BeforeValidator(_as_word)]


class PocketSpec(Spec):
    """Seeded conversations of the embedded model's small world: dates, orders, tools, shell commands."""

    kind: Literal["pocket"] = "pocket"
    skill: Literal["base", "move_order"] = "base"
    """`base`: what the embedded model was trained on; `move_order`: a tool call that it has never seen."""
    rows: int = Field(default=1000, ge=1)
    """How many conversations."""
    seed: int = 0
    """Another seed gives other rows."""


class SynthesizeSpec(Spec):
    """Make rows instead of reading them."""

    generator: PocketSpec = PocketSpec()
    """Who makes the rows."""


class SourceSpec(Spec):
    """One source of several."""

    ref: DataRef
    """Where the rows lie."""
    take: int | None = Field(default=None, ge=1)
    """How many rows to take at most, chosen by content hash; all when not said."""
    tag: str | None = None
    """A name that each of its rows carries, to evaluate by."""
    format: Format | None = None
    """The layout of its rows, where it is not that of the step."""
    columns: dict[str, str] | None = None
    """Its renames, `{their_column: our_column}`, in place of the step's."""
    roles: dict[str, Role] | None = None
    """Its words for who speaks, `{their_role: our_role}`, in place of the step's."""
    subset: Subset | None = None
    """Of a hub dataset or a dataset_info.json: which of its parts, in place of the step's."""
    encoding: Encoding | None = None
    """How its text files are encoded, in place of the step's."""


class SplitSpec(Spec):
    """The shares that are held out. Rows that ask the same, at any turn that is learned, stay in one split."""

    validation: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Share of rows for evaluation during training."""
    test: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Share of rows for evaluation after it."""
    seed: int = 0
    """Another seed places rows differently."""

    @model_validator(mode="after")
    def something_is_left_to_train_on(self) -> "SplitSpec":
        if self.__dict__["validation"] + self.__dict__["test"] >= 1.0:
            raise ValueError("validation and test together leave nothing to train on: make them smaller")
        return self


class LanguageSpec(Spec):
    """Keep the rows of some languages."""

    keep: list[str] = Field(min_length=1)
    """ISO 639-1 codes, such as en and zh."""
    min_probability: float = Field(default=0.5, ge=0.0, le=1.0)
    """A row whose language is less sure than this is dropped."""


class PrepareSpec(Spec):
    """Read, map, filter, split and measure rows of any layout."""

    source: DataRef | list[SourceSpec]
    """A file, a folder, a dataset, a step; or a list of them, to mix."""
    format: Format = "auto"
    """The layout of the rows; `auto` detects it from the first rows and says so."""
    columns: dict[str, str] = {}
    """Renames: `{their_column: our_column}`."""
    roles: dict[str, Role] = {}
    """The data's own words for who speaks: `{customer: user, agent: assistant}`; the usual ones are known."""
    subset: Subset | None = None
    """Of a hub dataset or a dataset_info.json: which of its parts."""
    encoding: Encoding | None = None
    """Of text files: `gb18030`, `latin-1` and so on. Without it UTF-8, what a byte-order mark says, or GB18030."""
    languages: LanguageSpec | None = None
    """Keep these languages only."""
    split: SplitSpec = SplitSpec()
    """Shares to hold out."""
    deduplicate: bool | Literal["content"] = False
    """Drop rows equal to an earlier one, counted: in all columns, or with `content` in what a model sees of them."""
    tokenizer: TokenizerRef | None = None
    """Render every row with this tokenizer: lengths, learned tokens and over-length rows are then known."""
    render: RenderSpec = RenderSpec()
    """How to render when a tokenizer is named."""
    max_bad_share: float = Field(default=0.05, ge=0.0, le=1.0)
    """More bad rows than this share stop the step; fewer go to the quarantine file."""


class InspectSpec(Spec):
    """Show rows of a file or dataset, their lengths and roles, and which tokens would be learned."""

    source: DataRef
    """A file, a folder or a dataset."""
    format: Format = "auto"
    """The layout of the rows."""
    columns: dict[str, str] = {}
    """Renames: `{their_column: our_column}`."""
    roles: dict[str, Role] = {}
    """The data's own words for who speaks: `{customer: user, agent: assistant}`; the usual ones are known."""
    subset: Subset | None = None
    """Of a hub dataset or a dataset_info.json: which of its parts."""
    encoding: Encoding | None = None
    """Of text files: `gb18030`, `latin-1` and so on. Without it UTF-8, what a byte-order mark says, or GB18030."""
    tokenizer: TokenizerRef | None = None
    """Render with this tokenizer and colour the learned tokens."""
    render: RenderSpec = RenderSpec()
    """How to render."""
    rows: Annotated[int, Field(ge=0)] = 3
    """How many rows to show."""

    @model_validator(mode="after")
    def rendering_needs_a_tokenizer(self) -> "InspectSpec":
        if "render" in self.__pydantic_fields_set__ and self.__dict__["tokenizer"] is None:
            raise ValueError("train_on, max_length and the like have an effect with a tokenizer only: name one")
        return self
