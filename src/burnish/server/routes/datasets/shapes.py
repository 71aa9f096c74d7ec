"""What requests about datasets hold, and what is answered."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from burnish.studio.datasets.reading import MOST_ROWS


class UploadRecord(BaseModel):
    """An upload. `filename` is what its sender called it, `name` what it is called here."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "name": "rows.jsonl",
                "bytes": 182340,
                "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                "created": 1795400602.65,
                "id": "file-fbd750ee488671f2fb3463d9",
                "filename": "rows.jsonl",
                "purpose": "data",
                "edited_from": "",
            }
        }
    )

    name: str
    bytes: int
    sha256: str
    created: float
    id: str
    filename: str
    purpose: str
    edited_from: str


class DatasetRow(BaseModel):
    """A dataset. `ref` is how recipes refer to it. `stats` are counts of an artifact's `stats.json`."""

    name: str
    origin: Literal["upload", "file", "artifact"]
    ref: str
    kind: str
    editable: bool
    created: float
    bytes: int | None = None
    sha256: str | None = None
    id: str | None = None
    filename: str | None = None
    purpose: str | None = None
    edited_from: str | None = None
    run: str | None = None
    stage: str | None = None
    rows: int | None = None
    stats: dict[str, Any] | None = None


class DatasetList(BaseModel):
    """Uploads, files and artifacts, each the newest first. `not_listed` files, links and folders below `data/` are
    beyond the first 2,000, cannot be read, lead elsewhere, or have names that cannot be asked for. `damaged` are steps
    whose records cannot be read."""

    datasets: list[DatasetRow]
    not_listed: int
    damaged: list[str]


class SplitCount(BaseModel):
    """Rows of a split; `bad` ones are among them."""

    rows: int
    bad: int


class Layout(BaseModel):
    """How rows are laid out, and why; `error` if it is unknown. Of a dataset: what `stage` and `recipe` learn from."""

    format: str | None
    reason: str
    error: dict[str, Any] | None = None
    stage: str = ""
    recipe: str = ""


class DatasetDetail(DatasetRow):
    """A dataset whose rows were read once. `newest` is the version of an upload with the highest number."""

    newest: str | None = None
    bad: int
    splits: dict[str, SplitCount]
    blank_lines: int = 0
    columns: list[dict[str, Any]]
    """Of the first rows: name, types, how many are missing, null or empty, distinct values."""
    columns_of_rows: int = 0
    layout: Layout
    notes: list[str]


class BadRow(BaseModel):
    """Why a row cannot be read, and its text."""

    field: str
    reason: str
    text: str


class DataRow(BaseModel):
    """A row as it stands in its file, or `bad`. `row` is its number in the split; a very long one is `cut`."""

    row: int
    source: str
    value: dict[str, Any] | None
    bad: BadRow | None
    cut: bool
    tokens: int | None = None
    learned: int | None = None


class RowPage(BaseModel):
    """Rows of a split. `total` is null until all rows were read once."""

    rows: list[DataRow]
    split: str
    offset: int
    total: int | None
    splits: list[str]


class PreviewRow(BaseModel):
    """A row as a conversation, or the `error` that it has. A piece is a list of (token, weight): 0 is not learned."""

    row: int
    source: str
    value: dict[str, Any] | None
    pieces: list[list[tuple[str, float]]]
    cut: bool
    error: str | None
    code: str | None = None
    field: str | None = None
    tokens: int | None = None
    learned: int | None = None


class PreviewPage(BaseModel):
    """Rows of a split as a training sees them."""

    rows: list[PreviewRow]
    split: str
    offset: int
    total: int | None
    splits: list[str]
    layout: Layout | None


class PreviewRequest(BaseModel):
    """What a preview is made with; the settings are those of `burnish inspect`."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"tokenizer": "builtin:pocket", "render": {"train_on": "last"}, "limit": 5}},
    )

    tokenizer: str | None = None
    render: dict[str, Any] = {}
    split: str | None = None
    offset: int = Field(default=0, ge=0)
    limit: int = Field(default=10, ge=1, le=MOST_ROWS)
    format: str = "auto"
    columns: dict[str, str] = {}
    roles: dict[str, str] = {}
    encoding: str | None = None
    subset: str | None = None


class Edit(BaseModel):
    """The new value of a row; null removes the row. `sha256` and `newest` are those of the dataset as it was looked at:
    the edit is refused (409) if the file has changed since, or has a newer version."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"value": {"prompt": "What is 2 + 2?", "response": "4"}}}
    )

    value: dict[str, Any] | None
    sha256: str | None = Field(default=None, pattern="^[0-9a-fA-F]{64}$")
    newest: str | None = None


class QuarantinedRow(BaseModel):
    """A row that a step could not use."""

    row: int
    source: str
    field: str
    reason: str
    text: str
    cut: bool


class Quarantine(BaseModel):
    """What a step kept and what it did not: every row that it read is in one of the counts."""

    name: str
    run: str
    read: int | None = None
    kept: int | None = None
    quarantined: int | None = None
    dropped: dict[str, int] | None = None
    reasons: dict[str, int]
    rows: list[QuarantinedRow]
    offset: int
    total: int
    unread_bytes: int


class ProfileRequest(BaseModel):
    """The settings of the stage `profile`, such as `tokenizer`; its defaults otherwise."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"settings": {"topics": 4}}})

    settings: dict[str, Any] = {}


class DatasetProfile(BaseModel):
    """The profile of a dataset as it is now, or the state of the job that makes it."""

    state: Literal["none", "queued", "running", "failed", "cancelled", "succeeded"]
    run: str | None
    job: int | None
    error: dict[str, Any] | None
    profile: dict[str, Any] | None


class Deleted(BaseModel):
    """What was deleted."""

    name: str
    deleted: bool
