"""A whole file on the disk: continued where an earlier attempt stopped, a kill included, and checked at the end."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from burnish.core.errors import DataError, MachineError
from burnish.core.files import read_json, sync, write_json
from burnish.data.fetch.remote import Remote

_BOOT = Path("/proc/sys/kernel/random/boot_id")


def download(remote: Remote, path: Path, sha256: str = "") -> str:
    """Write a file to `path`, which is there only once it is whole; `path` + `.part` is continued. Gives its sha256.

    Errors: those of `Remote.replies`; DataError `data.wrong-checksum` if its content is not that of `sha256`, and then
    nothing is kept.
    """
    if path.exists():  # of an earlier attempt: it was checked before it got its name
        found = _sha256(path)
        if not sha256 or found == sha256:
            remote.connection.received(path.stat().st_size)
            return found
        path.unlink()
    path.parent.mkdir(parents=True, exist_ok=True)
    part, record = path.with_name(f"{path.name}.part"), path.with_name(f"{path.name}.part.json")
    known = {"url": remote.url, "size": remote.size, "validator": remote.validator, "sha256": sha256, "boot": _boot()}
    is_resumable = bool(remote.validator or remote.is_pinned or sha256)
    if not (is_resumable and part.exists() and _is_of(record, known)):
        part.unlink(missing_ok=True)
        write_json(record, known)
    was_started = part.stat().st_size if part.exists() else 0
    if is_resumable:
        _continue(remote if remote.validator else replace(remote, is_pinned=True), part)
    else:
        _from_the_start(remote, part)
    found = _sha256(part)
    if sha256 and found != sha256:
        part.unlink()
        if was_started:  # the parts may be of two files
            remote.connection.received(-was_started)
            return download(remote, path, sha256)
        what = f"{remote.shown} ({remote.url}) has the sha256 {found}, and not {sha256}"
        fix = "check the address and the checksum; a file that was damaged on its way is downloaded anew by a rerun"
        raise DataError("data.wrong-checksum", what, fix)
    sync(part)  # or a loss of power could leave its name without its bytes
    os.replace(part, path)
    record.unlink()
    return found


def _continue(remote: Remote, part: Path) -> None:
    with part.open("ab") as file:
        start = file.tell()
        if remote.size is not None and start > remote.size:
            start = 0
            file.truncate(0)
        remote.connection.received(start)
        for piece in remote.replies(start):
            file.write(piece)


def _from_the_start(remote: Remote, part: Path) -> None:
    """Without an ETag or a checksum a later part may be of another file: every attempt is whole."""
    for attempt in range(remote.connection.retries + 1):
        done = 0
        try:
            with part.open("wb") as file:
                for piece in remote.replies():
                    file.write(piece)
                    done += len(piece)
            return
        except MachineError:
            remote.connection.received(-done)
            if not done or attempt == remote.connection.retries:
                raise


def _is_of(record: Path, known: dict[str, Any]) -> bool:
    try:
        return read_json(record) == known
    except (OSError, ValueError):
        return False


def _boot() -> str:
    """Which start of the machine this is: what was written before a loss of power may not have reached the disk."""
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
