"""Datasets: uploads, files and artifacts; their rows by page, previews with learned tokens, edits, the quarantine."""

from typing import Annotated, Any, Literal

from fastapi import Path, Query, Request

from burnish.core.runs.workspace import Workspace
from burnish.server.problems import shown, shown_rows
from burnish.server.receiving.bodies import receive_form, receive_raw, stated_length
from burnish.server.routes.datasets.shapes import (
    DatasetDetail,
    DatasetList,
    DatasetProfile,
    DatasetRow,
    Deleted,
    Edit,
    PreviewPage,
    PreviewRequest,
    ProfileRequest,
    Quarantine,
    RowPage,
    UploadRecord,
)
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
