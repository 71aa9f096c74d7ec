"""Settings of the data stages: `synthesize`, `prepare` and `inspect`."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from burnish.specs.base import DataRef, Spec, TokenizerRef
from burnish.specs.languages import Language
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
    """Accept the name of a text encoding known to Python."""
    try:
        b"a".decode(name, "replace")
    except LookupError:
        raise ValueError(
            f"unknown text encoding '{name}': write utf-8, gb18030, latin-1, shift_jis or another"
        ) from None
    return name


def _as_word(value: Any) -> Any:
    """Convert an integer, such as the year 2024, to a string."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Encoding = Annotated[str, AfterValidator(_is_an_encoding)]
Subset = Annotated[str, BeforeValidator(_as_word)]


class PocketSpec(Spec):
    """Seeded conversations in the domain of the built-in model: dates, orders, tools, shell commands."""

    kind: Literal["pocket"] = "pocket"
    skill: Literal["base", "move_order", "move_customer"] = "base"
    """`base`: what the built-in model was trained on; the others: calls of tools that it has not seen."""
    rows: int = Field(default=1000, ge=1)
    """Number of conversations."""
    seed: int = 0
    """Random seed of the rows."""
    answers: Literal["chat", "preference", "label"] = "chat"
    """`chat`: one right answer; `preference`: the tool call and the polite sentence that the built-in model gives
    instead; `label`: one of the two, with its label. The last two need skill: move_order."""

    @model_validator(mode="after")
    def only_requests_have_bad_answers(self) -> "PocketSpec":
        if self.__dict__["answers"] != "chat" and self.__dict__["skill"] != "move_order":
            raise ValueError(f"answers: {self.__dict__['answers']} needs skill: move_order")
        return self


class SynthesizeSpec(Spec):
    """Generate synthetic rows."""

    generator: PocketSpec = PocketSpec()
    """The generator of the rows."""


class SourceSpec(Spec):
    """One of several sources."""

    ref: DataRef
    """Where the rows are read from."""
    take: int | None = Field(default=None, ge=1)
    """Maximum number of rows to take, selected by content hash; all by default."""
    tag: str | None = None
    """A label for each of its rows, to group evaluation results by."""
    format: Format | None = None
    """The layout of its rows; overrides the step's."""
    columns: dict[str, str] | None = None
    """Columns to rename, `{their_column: our_column}`; overrides the step's."""
    roles: dict[str, Role] | None = None
    """Roles to rename, `{their_role: our_role}`; overrides the step's."""
    subset: Subset | None = None
    """The subset of a hub dataset or a dataset_info.json; overrides the step's."""
    encoding: Encoding | None = None
    """The encoding of its text files; overrides the step's."""


class SplitSpec(Spec):
    """Shares of rows to hold out. Rows with the same question, at any learned turn, stay in one split."""

    validation: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Share of rows for evaluation during training."""
    test: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Share of rows for evaluation after training."""
    seed: int = 0
    """Random seed of the assignment."""

    @model_validator(mode="after")
    def something_is_left_to_train_on(self) -> "SplitSpec":
        if self.__dict__["validation"] + self.__dict__["test"] >= 1.0:
            raise ValueError("validation and test leave no rows to train on: make them smaller")
        return self


class LanguageSpec(Spec):
    """Keep rows in the given languages."""

    keep: list[Language] = Field(min_length=1)
    """ISO 639-1 codes, such as en and zh."""
    min_probability: float = Field(default=0.5, ge=0.0, le=1.0)
    """Drop rows whose language is detected with a lower probability."""


class PrepareSpec(Spec):
    """Read, map, filter, split and measure rows of any layout."""

    source: DataRef | list[SourceSpec]
    """A file, a folder, a dataset or a step; or a list of sources to mix."""
    format: Format = "auto"
    """The layout of the rows; `auto` detects it from the first rows and reports it."""
    columns: dict[str, str] = {}
    """Columns to rename: `{their_column: our_column}`."""
    roles: dict[str, Role] = {}
    """Roles to rename, such as `{customer: user, agent: assistant}`; common names are known."""
    subset: Subset | None = None
    """The subset of a hub dataset or a dataset_info.json."""
    encoding: Encoding | None = None
    """The encoding of text files, such as `gb18030`. By default UTF-8, the one of a byte-order mark, or GB18030."""
    languages: LanguageSpec | None = None
    """Keep only these languages."""
    split: SplitSpec = SplitSpec()
    """Shares of rows to hold out."""
    deduplicate: bool | Literal["content"] = False
    """Drop and count duplicate rows: equal in all columns or, with `content`, in the part that a model sees."""
    tokenizer: TokenizerRef | None = None
    """Render every row with this tokenizer, to measure lengths and learned tokens and to check max_length."""
    render: RenderSpec = RenderSpec()
    """How to render rows if a tokenizer is set."""
    max_bad_share: float = Field(default=0.05, ge=0.0, le=1.0)
    """The step fails if a larger share of rows is bad; otherwise bad rows are written to the quarantine file."""


class InspectSpec(Spec):
    """Show rows of a file or dataset, their lengths and roles, and which tokens would be learned."""

    source: DataRef
    """A file, a folder or a dataset."""
    format: Format = "auto"
    """The layout of the rows."""
    columns: dict[str, str] = {}
    """Columns to rename: `{their_column: our_column}`."""
    roles: dict[str, Role] = {}
    """Roles to rename, such as `{customer: user, agent: assistant}`; common names are known."""
    subset: Subset | None = None
    """The subset of a hub dataset or a dataset_info.json."""
    encoding: Encoding | None = None
    """The encoding of text files, such as `gb18030`. By default UTF-8, the one of a byte-order mark, or GB18030."""
    tokenizer: TokenizerRef | None = None
    """Render rows with this tokenizer and color the learned tokens."""
    render: RenderSpec = RenderSpec()
    """How to render rows."""
    rows: Annotated[int, Field(ge=0)] = 3
    """Number of rows to show."""

    @model_validator(mode="after")
    def rendering_needs_a_tokenizer(self) -> "InspectSpec":
        if "render" in self.__pydantic_fields_set__ and self.__dict__["tokenizer"] is None:
            raise ValueError("train_on, max_length and other render settings need a tokenizer: set one")
        return self
