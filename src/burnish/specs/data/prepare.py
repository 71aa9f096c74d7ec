"""Settings of `prepare`."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from burnish.specs.base import ADDED, DataRef, Operands, Spec, TokenizerRef
from burnish.specs.data.filters import LanguageSpec
from burnish.specs.data.mixture import MixtureSpec
from burnish.specs.data.sources import Encoding, Format, Role, SourceSpec, Subset
from burnish.specs.tokens import RenderSpec


class HeldOutSpec(Spec):
    """Shares of rows to hold out."""

    validation: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Share of rows for evaluation during training."""
    test: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Share of rows for evaluation after training."""

    @model_validator(mode="after")
    def something_is_left_to_train_on(self) -> "HeldOutSpec":
        if self.__dict__["validation"] + self.__dict__["test"] >= 1.0:
            raise ValueError("validation and test leave no rows to train on: make them smaller")
        return self


class SplitSpec(HeldOutSpec):
    """Shares of rows to hold out. Rows with the same question, at any learned turn, stay in one split."""

    seed: int = 0
    """Random seed of the assignment."""


class PrepareSpec(Spec):
    """Read, map, filter, split and measure rows of any layout."""

    source: Annotated[DataRef | list[SourceSpec], Operands(one=True)]
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
    mixture: Annotated[MixtureSpec | None, ADDED] = None
    """Draw rows of several sources in given shares; all rows by default."""
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

    @model_validator(mode="after")
    def shares_are_of_a_mixture(self) -> "PrepareSpec":
        sources, mixture = self.__dict__["source"], self.__dict__["mixture"]
        if mixture is not None and isinstance(sources, str):
            raise ValueError("mixture needs a list of sources: write source: [{ref: …}, {ref: …}]")
        if mixture is None and not isinstance(sources, str):
            weighted = [number for number, source in enumerate(sources) if source.__dict__["weight"] is not None]
            if weighted:
                raise ValueError(f"source.{weighted[0]}.weight has no effect without a mixture: set mixture.rows")
        return self

    @model_validator(mode="after")
    def a_budget_of_tokens_needs_a_tokenizer(self) -> "PrepareSpec":
        mixture = self.__dict__["mixture"]
        if mixture is not None and mixture.__dict__["tokens"] is not None and self.__dict__["tokenizer"] is None:
            raise ValueError("mixture.tokens needs a tokenizer to count them: set one, or set mixture.rows")
        return self
