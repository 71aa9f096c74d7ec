"""The record beside each upload: its id, size, sha256, when it was sent and what for."""

import hashlib
import secrets
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from burnish.core.files import read_json, write_json
from burnish.core.fingerprint import of_file
from burnish.core.runs.workspace import Workspace

FOLDER = ".records"
_FORMAT = 1


@dataclass(frozen=True)
class UploadRecord:
    """What is known of an upload. `filename` is what its sender called it."""

    name: str
    bytes: int
    sha256: str
    created: float
    id: str = field(default_factory=lambda: f"file-{secrets.token_hex(12)}")
    filename: str = ""
    purpose: str = "data"
    edited_from: str = ""
    """The upload that this one is a new version of; empty for one that was sent."""


def record_path(name: str, place: Workspace) -> Path:
    """Where the record of an upload lies."""
    return place.uploads / FOLDER / f"{name}.json"


def write_upload_record(record: UploadRecord, place: Workspace) -> None:
    """Write it atomically."""
    path = record_path(record.name, place)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    write_json(path, {"format": _FORMAT, **asdict(record)}, mode=0o600)


def upload_record(name: str, place: Workspace) -> UploadRecord:
    """The record of an upload; of a file that was put there by hand, what its file says."""
    path = place.uploads / name
    status = path.stat()
    try:
        known: dict[str, Any] = read_json(record_path(name, place))
        record = UploadRecord(**{key: value for key, value in known.items() if key != "format"})
        if record.name == name and record.bytes == status.st_size:
            return record
    except (OSError, ValueError, TypeError, AttributeError):
        pass  # a damaged record is like none: the file itself is the truth
    by_name = hashlib.sha256(name.encode()).hexdigest()[:24]
    return UploadRecord(name, status.st_size, "", status.st_mtime, f"file-{by_name}", name)


def with_hash(record: UploadRecord, place: Workspace) -> UploadRecord:
    """The record with its sha256, which is computed for a file that was put there by hand."""
    if record.sha256:
        return record
    known = place.hashes()
    found = replace(record, sha256=of_file(place.uploads / record.name, known))
    place.remember_hashes(known)
    return found


def new_record(name: str, size: int, sha256: str, **more: str) -> UploadRecord:
    """The record of a file that was just sent."""
    return UploadRecord(name, size, sha256, time.time(), **more)
