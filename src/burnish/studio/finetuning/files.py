"""Uploads as OpenAI's files: each has an id, in the record beside it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from burnish.core.errors import AskError
from burnish.core.naming import nearest
from burnish.core.runs.workspace import Workspace
from burnish.studio.datasets import delete
from burnish.studio.datasets.names import uploaded
from burnish.studio.datasets.records import UploadRecord, upload_record
from burnish.studio.finetuning.paging import page

PURPOSE = "fine-tune"
MOST_FILES = 10_000
_ENDING = ".jsonl"


def refuse_file(filename: str, purpose: str | None) -> None:
    """Refuse what no fine-tuning could read. Errors: AskError `ask.missing-key`, `ask.wrong-value`."""
    if purpose is None:
        raise AskError("ask.missing-key", "the form has no purpose", f"send purpose={PURPOSE}")
    if purpose != PURPOSE:
        raise AskError("ask.wrong-value", f"purpose: {purpose!r:.100} is not supported", f"send purpose={PURPOSE}")
    if not filename.lower().endswith(_ENDING):
        what = f"file: {filename!r:.140} is not named as JSON Lines"
        raise AskError("ask.wrong-value", what, f"send one JSON object a line, in a file whose name ends in {_ENDING}")


def as_file(record: UploadRecord | Mapping[str, Any]) -> dict[str, Any]:
    """An upload in OpenAI's shape."""
    known = record if isinstance(record, Mapping) else vars(record)
    return {
        "id": known["id"],
        "object": "file",
        "bytes": known["bytes"],
        "created_at": int(known["created"]),
        "filename": known["filename"] or known["name"],
        "purpose": PURPOSE,
        "status": "processed",
    }


def list_files(
    *,
    purpose: str | None = None,
    limit: int = MOST_FILES,
    after: str | None = None,
    order: str = "desc",
    workspace: Path | str | None = None,
) -> dict[str, Any]:
    """The uploads, newest first, after the one with the id `after`."""
    place = Workspace.find(workspace)
    records = sorted(_records(place), key=lambda record: (record.created, record.name), reverse=order == "desc")
    files = [as_file(record) for record in records if purpose in (None, PURPOSE)]
    return page(files, limit, after, "file")


def file_record(id: str, *, workspace: Path | str | None = None) -> UploadRecord:
    """The record of the upload with an id. Errors: AskError `ask.bad-reference`."""
    place = Workspace.find(workspace)
    records = {record.id: record for record in _records(place)}
    if id in records:
        return records[id]
    fix = nearest(id[:100], list(records)) if records else "upload one: POST /v1/files"
    raise AskError("ask.bad-reference", f"there is no file {id!r:.100}", fix)


def get_file(id: str, *, workspace: Path | str | None = None) -> dict[str, Any]:
    """A file in OpenAI's shape."""
    return as_file(file_record(id, workspace=workspace))


def file_path(id: str, *, workspace: Path | str | None = None) -> Path:
    """Where the bytes of a file lie."""
    return Workspace.find(workspace).uploads / file_record(id, workspace=workspace).name


def delete_file(id: str, *, workspace: Path | str | None = None) -> dict[str, Any]:
    """Delete a file. Errors: those of `datasets.delete`."""
    delete(file_record(id, workspace=workspace).name, workspace=workspace)
    return {"id": id, "object": "file", "deleted": True}


def _records(place: Workspace) -> Iterable[UploadRecord]:
    place.refuse_missing()
    for name in uploaded(place):
        try:
            yield upload_record(name, place)
        except FileNotFoundError:  # it was just deleted
            continue
