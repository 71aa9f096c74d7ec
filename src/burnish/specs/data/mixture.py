"""Settings of a mixture of several sources."""

from pydantic import Field, model_validator

from burnish.specs.base import Spec


class MixtureSpec(Spec):
    """Draw rows of every source in given shares, by content hash."""

    rows: int | None = Field(default=None, ge=1)
    """Number of rows to draw. Without `rows` and `tokens`: as many as the shares allow without repeating a row."""
    tokens: int | None = Field(default=None, ge=1)
    """Number of tokens to draw, in place of `rows`; needs a tokenizer."""
    temperature: float | None = Field(default=None, gt=0)
    """Weight sources by size^(1/temperature), times their `weight`: 1 is by size, larger values are more even."""
    repeat: bool = False
    """Repeat the training rows of a source that is smaller than its share; otherwise its share is not filled."""
    max_epochs: int | None = Field(default=None, ge=2)
    """Largest number of times that a row occurs with `repeat`; 4 by default."""
    seed: int = 0
    """Random seed of the choice. Of two mixtures with one seed, the smaller one is part of the larger one."""

    @model_validator(mode="after")
    def a_budget_is_in_rows_or_in_tokens(self) -> "MixtureSpec":
        if self.__dict__["rows"] is not None and self.__dict__["tokens"] is not None:
            raise ValueError("rows and tokens are both set: set one of them")
        return self

    @model_validator(mode="after")
    def repeating_needs_a_budget(self) -> "MixtureSpec":
        if self.__dict__["repeat"] and self.__dict__["rows"] is None and self.__dict__["tokens"] is None:
            raise ValueError("repeat needs a number to reach: set rows or tokens")
        return self

    @model_validator(mode="after")
    def a_limit_of_epochs_needs_repeat(self) -> "MixtureSpec":
        if self.__dict__["max_epochs"] is not None and not self.__dict__["repeat"]:
            raise ValueError("max_epochs limits how often rows are repeated: set repeat: true")
        return self
