"""How rows of users are read: layouts, roles, encodings, and one of several sources."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from burnish.specs.base import ADDED, DataRef, Spec

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


def text_encoding(name: str) -> str:
    """Accept the name of a text encoding known to Python; ValueError for another one, such as `zlib_codec`."""
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


Encoding = Annotated[str, AfterValidator(text_encoding)]
Subset = Annotated[str, BeforeValidator(_as_word)]


class SourceSpec(Spec):
    """One of several sources."""

    ref: DataRef
    """Where the rows are read from."""
    take: int | None = Field(default=None, ge=1)
    """Maximum number of rows to take, selected by content hash; all by default."""
    weight: Annotated[float | None, ADDED] = Field(default=None, gt=0)
    """Its share of the `mixture`, relative to the other sources; 1 by default."""
    split: Annotated[Literal["train", "validation", "test"] | None, ADDED] = None
    """The split of all its rows, such as that of a file for validation; by default the names of its files decide. Of
    `train` rows the shares of the step are held out."""
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
