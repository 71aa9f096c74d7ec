"""Settings of `clean`."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from burnish.specs.base import RUNTIME, DataRef, Operands, RawRef, Spec, TokenizerRef
from burnish.specs.data.filters import FiltersSpec, RewritingSpec
from burnish.specs.data.sources import Encoding, Format, Subset


class NearDedupSpec(Spec):
    """Near duplicates: texts that share most of their shingles, runs of words or characters (MinHash, verified)."""

    threshold: float = Field(default=0.75, gt=0.0, le=1.0)
    """The least Jaccard similarity of the shingles of two texts that are near duplicates."""
    unit: Literal["words", "characters"] = "words"
    """What a shingle is made of. A character of a script without spaces, such as Chinese, is a word."""
    size: int = Field(default=5, ge=1, le=100)
    """The words or characters of a shingle."""
    bands: int = Field(default=20, ge=1, le=256)
    """Bands of a signature; texts that agree in one are compared. More find more of the pairs at the threshold."""
    rows: int = Field(default=6, ge=1, le=64)
    """Places of a band. Fewer find more, and compare more."""


class DecontaminateSpec(Spec):
    """Drop rows that share runs of words with rows of an evaluation."""

    against: list[DataRef] = Field(min_length=1)
    """The rows of evaluations: files, folders or datasets; of a dataset all splits."""
    size: int = Field(default=13, ge=1, le=100)
    """The words of a run. A character of a script without spaces is a word."""
    share: float = Field(default=0.0, ge=0.0, le=1.0)
    """The least share of a row's runs that must be of evaluations to drop it; 0: one run is enough."""


class CleanSpec(Spec):
    """Clean raw rows: normalise, filter, deduplicate, decontaminate."""

    source: Annotated[RawRef, Operands(one=True)]
    """A file, a folder, fetched rows or a step. Every field of a row that is kept stays."""
    text: list[str] = []
    """The columns that hold the text; found by the layout of the rows by default."""
    format: Format = "auto"
    """The layout of the rows; `auto` detects it from the first rows and reports it."""
    subset: Subset | None = None
    """The subset of a hub dataset or a dataset_info.json."""
    encoding: Encoding | None = None
    """The encoding of text files, such as `gb18030`. By default UTF-8, the one of a byte-order mark, or GB18030."""
    rewriting: RewritingSpec = RewritingSpec()
    """How texts are changed before they are judged."""
    filters: FiltersSpec | None = FiltersSpec()
    """What rows are dropped for; null keeps all."""
    tokenizer: TokenizerRef | None = None
    """Counts the tokens for `filters.length.min_tokens` and `max_tokens`."""
    exact_dedup: bool = True
    """Drop rows whose text equals that of another one, after rewriting."""
    near_dedup: NearDedupSpec | bool = False
    """Drop near duplicates, too."""
    keep: Literal["first", "longest", "ranked"] = "first"
    """Which row of a group of duplicates is kept; `ranked`: the one with the greatest number in `rank_by`."""
    rank_by: str | None = None
    """The column of numbers for `keep: ranked`; a row without it comes last."""
    decontaminate: DecontaminateSpec | None = None
    """Drop rows that are in evaluations."""
    keep_removed: bool = False
    """Write the dropped rows, each with its reason, to `removed.jsonl`."""
    form: Literal["parquet", "jsonl"] = "parquet"
    """The form of the shards."""
    max_bad_share: float = Field(default=0.05, ge=0.0, le=1.0)
    """The step fails if a larger share of rows is bad; otherwise bad rows are written to the quarantine file."""
    workers: Annotated[int | None, RUNTIME] = Field(default=None, ge=1)
    """Processes at a time; all cores by default."""
    on: Annotated[str, RUNTIME] = "local"
    """`local`, `ray` (the cluster of RAY_ADDRESS, or one on this machine) or ray://host:port. The rows are the same."""

    @field_validator("on")
    @classmethod
    def on_names_a_place(cls, value: str) -> str:
        if value not in ("local", "ray") and not value.startswith("ray://"):
            raise ValueError(f"'{value}' is no place to run: write local, ray, or ray://host:10001")
        return value

    @model_validator(mode="after")
    def bounds_in_tokens_and_the_tokenizer_belong_together(self) -> "CleanSpec":
        values = self.__dict__
        length = values["filters"].__dict__["length"] if values["filters"] is not None else None
        is_bounded = length is not None and length.counts_tokens
        if is_bounded and values["tokenizer"] is None:
            raise ValueError("filters.length.min_tokens and max_tokens need a tokenizer: set `tokenizer`")
        if values["tokenizer"] is not None and not is_bounded:
            fix = "set filters.length.min_tokens or max_tokens, or leave it out"
            raise ValueError(f"tokenizer counts the tokens of bounds, and none is set: {fix}")
        return self

    @model_validator(mode="after")
    def ranked_needs_a_column(self) -> "CleanSpec":
        values = self.__dict__
        if (values["keep"] == "ranked") != (values["rank_by"] is not None):
            raise ValueError("keep: ranked and rank_by belong together: set both")
        return self
