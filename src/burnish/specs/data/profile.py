"""Settings of `profile`."""

from typing import Annotated

from pydantic import Field

from burnish.specs.base import DataRef, Operands, Spec, TokenizerRef
from burnish.specs.data.sources import Encoding, Format, Role, Subset


class ProfileSpec(Spec):
    """Describe rows: lengths, languages, duplicates, leaks, topics."""

    source: Annotated[DataRef, Operands(one=True)]
    """A file, a folder, rows that were fetched or cleaned, or a dataset."""
    format: Format = "auto"
    """The layout of the rows; where `auto` finds none, all text of a row is taken."""
    columns: dict[str, str] = {}
    """Columns to rename: `{their_column: our_column}`."""
    roles: dict[str, Role] = {}
    """Roles to rename, such as `{customer: user, agent: assistant}`; common names are known."""
    subset: Subset | None = None
    """The subset of a hub dataset or a dataset_info.json."""
    encoding: Encoding | None = None
    """The encoding of text files, such as `gb18030`. By default UTF-8, the one of a byte-order mark, or GB18030."""
    tokenizer: TokenizerRef | None = None
    """Count the tokens of each row's text, without those of a chat template."""
    near_duplicates: bool = True
    """Look for near duplicates."""
    similarity: float = Field(default=0.75, ge=0.5, le=1.0)
    """Rows are near duplicates if they share this part of their runs of five words (Jaccard similarity)."""
    topics: int = Field(default=8, ge=0, le=50)
    """Number of clusters that a sample of rows is sorted into; 0 for none."""
    examples: int = Field(default=3, ge=0, le=50)
    """Number of rows to show of each kind: first, longest, shortest, random."""
    sample: Annotated[int, Field(ge=1, le=20_000)] = 3000
    """Number of rows whose language and topic are detected."""
    seed: int = 0
    """Random seed of the samples."""
