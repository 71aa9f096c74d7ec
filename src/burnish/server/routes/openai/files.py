"""`/v1/files`: uploads as OpenAI's files."""

from typing import Annotated, Any, Literal

from fastapi import Query, Request
from pydantic import BaseModel, ConfigDict

from burnish.core.runs.workspace import Workspace
from burnish.server.receiving.bodies import receive_form
from burnish.server.routing import ANY_SIZE, Place, Router
from burnish.server.security.files import SentFile
from burnish.studio.datasets import Upload
from burnish.studio.finetuning import files as studio

router = Router(prefix="/v1", tags=["openai"])
_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file", "purpose"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "purpose": {"type": "string", "enum": [studio.PURPOSE]},
                    },
                }
            }
        },
    }
}
_BYTES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
}


class FileObject(BaseModel):
    """A file. It is also an upload of *Data*."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": "file-fbd750ee488671f2fb3463d9",
                "object": "file",
                "bytes": 182340,
                "created_at": 1795400602,
                "filename": "train.jsonl",
                "purpose": "fine-tune",
                "status": "processed",
            }
        }
    )

    id: str
    object: Literal["file"]
    bytes: int
    created_at: int
    filename: str
    purpose: str
    status: str


class FileList(BaseModel):
    """Files; those after `last_id` are on the next page."""

    object: Literal["list"]
    data: list[FileObject]
    first_id: str | None
    last_id: str | None
    has_more: bool


class FileDeleted(BaseModel):
    """What was deleted."""

    id: str
    object: Literal["file"]
    deleted: bool


@router.post("/files", scope="run", most_bytes=ANY_SIZE, openapi_extra=_FORM)
async def create_file(request: Request, place: Place) -> FileObject:
    """Upload a JSON Lines file for fine-tuning. It is written as it arrives; a broken upload leaves nothing."""

    def begin(name: str) -> Upload:
        studio.refuse_file(name, studio.PURPOSE)
        return Upload(name, Workspace(place), existing="version", purpose=studio.PURPOSE, may_be_empty=False)

    record = await receive_form(
        request, begin, ("purpose",), lambda name, form: studio.refuse_file(name, form.get("purpose"))
    )
    return FileObject.model_validate(studio.as_file(record))


@router.get("/files", scope="read")
def list_files(
    place: Place,
    purpose: str | None = None,
    limit: Annotated[int, Query(ge=1, le=studio.MOST_FILES)] = studio.MOST_FILES,
    after: str | None = None,
    order: Literal["asc", "desc"] = "desc",
) -> FileList:
    """The files, newest first."""
    found = studio.list_files(purpose=purpose, limit=limit, after=after, order=order, workspace=place)
    return FileList.model_validate(found)


@router.get("/files/{file_id}", scope="read")
def retrieve_file(file_id: str, place: Place) -> FileObject:
    """One file."""
    return FileObject.model_validate(studio.get_file(file_id, workspace=place))


@router.get("/files/{file_id}/content", scope="read", head=True, response_class=SentFile, responses=_BYTES)
def retrieve_file_content(file_id: str, place: Place) -> SentFile:
    """The bytes of a file, as they were sent."""
    path = studio.file_path(file_id, workspace=place)
    return SentFile(path, media_type="application/octet-stream", filename=path.name)


@router.delete("/files/{file_id}", scope="run")
def delete_file(file_id: str, place: Place) -> FileDeleted:
    """Delete a file."""
    return FileDeleted.model_validate(studio.delete_file(file_id, workspace=place))
