"""The record beside each upload: its id, size, sha256, when it was sent and what for."""

import hashlib
import os
import secrets
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from burnish.core.files import read_json, write_json
from burnish.core.fingerprint import of_file, stamp_of
from burnish.core.runs.workspace import Workspace

FOLDER = ".records"
_FORMAT = 1
_YEAR_10000 = 253_402_300_800


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


def write_upload_record(record: UploadRecord, place: Workspace, status: os.stat_result) -> None:
    """Write it atomically. `status` is that of the file: while it stays the same, the sha256 is true."""
    path = record_path(record.name, place)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    write_json(path, {"format": _FORMAT, "stamp": stamp_of(status), **asdict(record)}, mode=0o600)


def upload_record(name: str, place: Workspace) -> UploadRecord:
    """The record of an upload; of a file that was put there by hand, what its file says.

    The sha256 is empty where it is not known to be that of the file as it is: of a copied workspace, or a file that was
    written since (see `with_hash`).
    """
    record, is_true = _read(name, place)
    return record if is_true else replace(record, sha256="")


def with_hash(record: UploadRecord, place: Workspace) -> UploadRecord:
    """The record with the sha256 of the file, which is read if that is not known. One that is as it was recorded is
    known from then on."""
    if record.sha256:
        return record
    path, known = place.uploads / record.name, place.hashes()
    status = path.stat()
    found = replace(record, sha256=of_file(path, known))
    place.remember_hashes(known)
    if _read(record.name, place) == (found, False) and stamp_of(path.stat()) == stamp_of(status):
        with suppress(OSError):
            write_upload_record(found, place, status)
    return found


def _read(name: str, place: Workspace) -> tuple[UploadRecord, bool]:
    """The record that was written, and whether the file is the same since; else one of the file alone."""
    status = (place.uploads / name).stat()
    try:
        known: dict[str, Any] = read_json(record_path(name, place))
        stamp = known.get("stamp")
        record = UploadRecord(**{key: value for key, value in known.items() if key not in ("format", "stamp")})
        if _is_whole(record) and (record.name, record.bytes) == (name, status.st_size):
            return record, stamp == stamp_of(status)
    except (OSError, ValueError, TypeError, AttributeError):
        pass  # a damaged record is like none: the file itself is the truth
    by_name = hashlib.sha256(name.encode()).hexdigest()[:24]
    return UploadRecord(name, status.st_size, "", status.st_mtime, f"file-{by_name}", name), True


def _is_whole(record: UploadRecord) -> bool:
    """Whether each field has the type that it was written with; `created` is before the year 10000."""
    texts = (record.name, record.sha256, record.id, record.filename, record.purpose, record.edited_from)
    numbers = type(record.bytes) is int and type(record.created) in (int, float)
    return numbers and 0 <= record.created < _YEAR_10000 and all(type(text) is str for text in texts)


def new_record(name: str, size: int, sha256: str, **more: str) -> UploadRecord:
    """The record of a file that was just sent."""
    return UploadRecord(name, size, sha256, time.time(), **more)
