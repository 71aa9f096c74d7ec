"""Settings of `inspect`."""

from typing import Annotated

from pydantic import Field, model_validator

from burnish.specs.base import DataRef, Spec, TokenizerRef
from burnish.specs.data.sources import Encoding, Format, Role, Subset
from burnish.specs.tokens import RenderSpec


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
