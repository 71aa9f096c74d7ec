"""A whole file on the disk: continued where an earlier attempt stopped, a kill included, and checked at the end."""

import hashlib
import os
import shutil
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from burnish.core.errors import DataError, MachineError
from burnish.core.files import read_json, sync, write_json
from burnish.data.fetch.coding import unpacked
from burnish.data.fetch.remote import Remote
from burnish.data.files.opening import unreadable

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
        remote.sent.coding = read_json(record).get("coding")
        _continue(remote if remote.validator else replace(remote, is_pinned=True), part, record)
    else:
        _from_the_start(remote, part)
    whole = _content(remote, part)
    found = _sha256(whole)
    if sha256 and found != sha256:
        part.unlink()
        whole.unlink(missing_ok=True)
        if was_started:  # the parts may be of two files
            remote.connection.received(-was_started)
            return download(remote, path, sha256)
        what = f"{remote.shown} ({remote.url}) has the sha256 {found}, and not {sha256}"
        fix = "check the address and the checksum; a file that was damaged on its way is downloaded anew by a rerun"
        raise DataError("data.wrong-checksum", what, fix)
    sync(whole)  # or a loss of power could leave its name without its bytes
    os.replace(whole, path)
    part.unlink(missing_ok=True)
    record.unlink()
    return found


def _content(remote: Remote, part: Path) -> Path:
    """The file with the content of what was sent: `part` itself, unless the server packed it for the way.

    Errors: DataError `data.unreadable` for what cannot be unpacked.
    """
    with part.open("rb") as sent:
        content = unpacked(sent, remote.sent.coding or "", remote.name)
        if content is sent:
            return part
        whole = part.with_name(f"{part.name}.unpacked")
        try:
            with content, whole.open("wb") as file:
                shutil.copyfileobj(content, file, 1 << 20)
        except (EOFError, OSError, zlib.error) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise unreadable(remote.shown, error) from error
        except Exception as error:
            if type(error).__module__.partition(".")[0] != "zstandard":
                raise
            raise unreadable(remote.shown, error) from error
    return whole


def _continue(remote: Remote, part: Path, record: Path) -> None:
    with part.open("ab") as file:
        start = file.tell()
        if remote.size is not None and start > remote.size:
            start = 0
            file.truncate(0)
        remote.connection.received(start)
        known = read_json(record)
        for piece in remote.replies(start):
            if known.get("coding") != remote.sent.coding:  # an attempt that finds all bytes there asks no server
                known["coding"] = remote.sent.coding
                write_json(record, known)
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
        return {name: value for name, value in read_json(record).items() if name != "coding"} == known
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
