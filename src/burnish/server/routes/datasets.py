"""Datasets: uploads, files and artifacts; their rows by page, previews with learned tokens, edits, the quarantine."""

from typing import Annotated, Any, Literal

from fastapi import Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from burnish.core.runs.workspace import Workspace
from burnish.server.problems import shown, shown_rows
from burnish.server.receiving.bodies import receive_form, receive_raw, stated_length
from burnish.server.routing import ANY_SIZE, Caller, Place, Router, ServerSettings
from burnish.studio import datasets as studio
from burnish.studio.datasets import profiling
from burnish.studio.datasets.reading import MOST_ROWS

router = Router(tags=["datasets"], work="slow")

Name = Annotated[
    str,
    Path(
        description="An upload (`rows.jsonl`), a file of the workspace (`data/rows.jsonl`) or an artifact that holds "
        "rows (`recipe.step@3`).",
        examples=["rows.jsonl"],
    ),
]
Split = Annotated[str | None, Query(description="The first split by default.", examples=["train"])]
Offset = Annotated[int, Query(ge=0, description="The number of the first row, from 0.")]
Limit = Annotated[int, Query(ge=1, le=MOST_ROWS)]
Subset = Annotated[str | None, Query(description="The subset of a hub dataset or a dataset_info.json.")]
Encoding = Annotated[str | None, Query(description="Of text files, such as `gb18030`.")]
Existing = Annotated[
    Literal["refuse", "version"],
    Query(description="If the name is taken: refuse (409), or store it as the next version, `rows.v2.jsonl`."),
]
Sha256 = Annotated[str | None, Query(pattern="^[0-9a-fA-F]{64}$", description="Refuse the file if it has another.")]
_RAW: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}


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


@router.get("/datasets", scope="read")
def list_datasets(place: Place) -> DatasetList:
    """Uploads, files below `data/`, and artifacts that hold rows."""
    found = studio.datasets(workspace=place)
    rows, damaged = shown_rows(DatasetRow, found["datasets"], lambda row: row.get("run") or row["name"])
    return DatasetList.model_validate({**found, "datasets": rows, "damaged": [*found["damaged"], *damaged]})


@router.post("/datasets", scope="run", status_code=201, most_bytes=ANY_SIZE, openapi_extra=_FORM)
async def upload_dataset_form(request: Request, place: Place, existing: Existing = "refuse") -> UploadRecord:
    """Upload a file as a browser's form sends it. It is written as it arrives; a broken upload leaves nothing."""
    record = await receive_form(request, lambda name: studio.Upload(name, Workspace(place), existing=existing))
    return UploadRecord.model_validate(record)


@router.get("/datasets/{name:path}/rows", scope="read")
def dataset_rows(
    name: Name,
    place: Place,
    split: Split = None,
    offset: Offset = 0,
    limit: Limit = 50,
    whole: Annotated[bool, Query(description="Of one row alone (`limit=1`): do not cut it.")] = False,
    encoding: Encoding = None,
    subset: Subset = None,
) -> RowPage:
    """A page of rows as they stand in their file; bad ones have their place, with the reason."""
    options: dict[str, Any] = {"whole": whole, "encoding": encoding, "subset": subset}
    found = studio.rows(name, split=split, offset=offset, limit=limit, **options, workspace=place)
    return RowPage.model_validate(found)


@router.patch("/datasets/{name:path}/rows/{row}", scope="run", status_code=201)
def edit_dataset_row(name: Name, row: Annotated[int, Path(ge=0)], edit: Edit, place: Place) -> UploadRecord:
    """Write a new version of an uploaded JSON Lines file with another value of a row; the old version stays."""
    seen = {"sha256": edit.sha256, "newest": edit.newest}
    return UploadRecord.model_validate(studio.edit_row(name, row, edit.value, **seen, workspace=place))


@router.get("/datasets/{name:path}/preview", scope="read")
def dataset_preview(
    name: Name,
    place: Place,
    caller: Caller,
    settings: ServerSettings,
    tokenizer: Annotated[str | None, Query(examples=["builtin:pocket"])] = None,
    split: Split = None,
    offset: Offset = 0,
    limit: Limit = 10,
    format: str = "auto",
    encoding: Encoding = None,
    subset: Subset = None,
) -> PreviewPage:
    """A page of rows as conversations; with a tokenizer also which of their tokens a training learns."""
    options: dict[str, Any] = {"format": format, "encoding": encoding, "subset": subset}
    options |= {"workspace": place, "allowed": settings.allowed_paths, "downloads": caller.may("run")}
    page: dict[str, Any] = {"split": split, "offset": offset, "limit": limit}
    return PreviewPage.model_validate(studio.preview(name, tokenizer=tokenizer, **page, **options))


@router.post("/datasets/{name:path}/preview", scope="read")
def dataset_preview_with(
    name: Name, wanted: PreviewRequest, place: Place, caller: Caller, settings: ServerSettings
) -> PreviewPage:
    """The same with all settings of `burnish inspect`: render settings, renamed columns and roles."""
    options: dict[str, Any] = {"workspace": place, "allowed": settings.allowed_paths, "downloads": caller.may("run")}
    return PreviewPage.model_validate(studio.preview(name, **wanted.model_dump(), **options))


@router.get("/datasets/{name:path}/profile", scope="read")
def dataset_profile(name: Name, place: Place) -> DatasetProfile:
    """Lengths, languages, duplicates, leaks and more, where a run of the stage `profile` has made them."""
    return DatasetProfile.model_validate(profiling.profile(name, workspace=place))


@router.post("/datasets/{name:path}/profile", scope="run", status_code=202)
def make_dataset_profile(
    name: Name, place: Place, settings: ServerSettings, wanted: ProfileRequest | None = None
) -> DatasetProfile:
    """Queue the profile of a dataset, unless it is there or on its way."""
    options: dict[str, Any] = {"workspace": place, "allowed": settings.allowed_paths}
    own = wanted.settings if wanted is not None else {}
    return DatasetProfile.model_validate(profiling.make_profile(name, settings=own, **options))


@router.get("/datasets/{name:path}/quarantine", scope="read")
def dataset_quarantine(name: Name, place: Place, offset: Offset = 0, limit: Limit = 50) -> Quarantine:
    """Rows that a step could not use, with file, line, field and reason; and the counts of all rows it read."""
    return shown(Quarantine, studio.quarantine(name, offset=offset, limit=limit, workspace=place), name)


@router.put("/datasets/{name:path}", scope="run", status_code=201, most_bytes=ANY_SIZE, openapi_extra=_RAW)
async def upload_dataset(
    request: Request, name: Name, place: Place, existing: Existing = "refuse", sha256: Sha256 = None
) -> UploadRecord:
    """Upload a file as the body of the request. It is written as it arrives; a broken upload leaves nothing."""
    options: dict[str, Any] = {"length": stated_length(request), "sha256": sha256, "existing": existing}
    record = await receive_raw(request, studio.Upload(name, Workspace(place), **options))
    return UploadRecord.model_validate(record)


@router.get("/datasets/{name:path}", scope="read")
def show_dataset(name: Name, place: Place) -> DatasetDetail:
    """A dataset with its counts, columns and layout. Every row is read the first time."""
    return shown(DatasetDetail, studio.dataset(name, workspace=place), name)


@router.delete("/datasets/{name:path}", scope="run")
def delete_dataset(name: Name, place: Place) -> Deleted:
    """Delete an upload. Files of the workspace and artifacts are not deleted here."""
    return Deleted.model_validate(studio.delete(name, workspace=place))
