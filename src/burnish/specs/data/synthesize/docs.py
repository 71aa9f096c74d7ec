"""Settings of the generator of rows from source code and documentation."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from burnish.specs.base import Spec, Takes, is_a_reference
from burnish.specs.data.prepare import HeldOutSpec

DocsRef = Annotated[str, Takes(("package", "folder", "file")), AfterValidator(is_a_reference)]
"""Code and documentation: a Git repository, a folder, a file, or an installed Python package."""
Template = Literal["question_answer", "completion", "fill_in_the_middle", "error_and_fix", "tool_use"]


class DocsSource(Spec):
    """One source of code and documentation."""

    ref: DocsRef
    """`git:URL@revision`, `file:FOLDER`, or `package:NAME`: an installed package or a module of Python's standard
    library, which is not imported. `package:python` is the whole standard library."""
    include: list[str] = []
    """Globs of the files to read, such as `src/**/*.py`; all by default. `**` matches any number of folders."""
    exclude: list[str] = [
        *("**/test/**", "**/tests/**", "**/testdata/**", "**/test_*.py", "**/conftest.py", "**/idlelib/**"),
        *("**/vendor/**", "**/_vendor/**", "**/third_party/**", "**/node_modules/**", "**/target/**", "**/dist/**"),
    ]
    """Globs of files that are not read. Examples in Go's `_test.go` files are."""


class FimTokensSpec(Spec):
    """The tokens of a model that was trained to fill in the middle; Qwen2.5-Coder's by default."""

    prefix: str = Field(default="<|fim_prefix|>", min_length=1)
    """Before the code that comes first."""
    suffix: str = Field(default="<|fim_suffix|>", min_length=1)
    """Before the code that comes last."""
    middle: str = Field(default="<|fim_middle|>", min_length=1)
    """Before the code that is filled in, which ends the row."""


class DocsSpec(Spec):
    """Rows from source code and documentation. Every answer stands in the source; nothing of it is run."""

    kind: Literal["docs"] = "docs"
    sources: list[DocsSource] = Field(min_length=1)
    """Repositories, folders, files and installed Python packages."""
    templates: list[Template] = Field(
        default=["question_answer", "completion", "fill_in_the_middle", "error_and_fix", "tool_use"], min_length=1
    )
    """The kinds of rows to make."""
    completion: Literal["chat", "text"] = "chat"
    """`chat`: the signature and documentation are the question, the whole definition the answer; `text`: the
    definition as a text row."""
    fim_tokens: FimTokensSpec | None = None
    """Write rows of fill_in_the_middle as text with these tokens: prefix, suffix, middle. By default they are
    conversations. Both keep the three parts in `extra`."""
    limit: int | None = Field(default=None, ge=1)
    """Maximum number of rows: a sample that takes equally many of each file, as far as a file has them."""
    seed: int = 0
    """Random seed of the sample, the wording of questions, the gaps, the faults and the splits."""
    split: HeldOutSpec = HeldOutSpec()
    """Shares of rows to hold out. All rows of a file, and of files that are nearly copies of it, are in one split."""
