"""A whole file on the disk: continued where an earlier attempt stopped, a kill included, and checked at the end."""

import hashlib
import io
import os
import shutil
import zlib
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

from burnish.core.errors import DataError, MachineError, RunError
from burnish.core.files import file_size, read_json, sync, write_json
from burnish.data.fetch.coding import HEAD, unpacked
from burnish.data.fetch.remote import CHUNK, Remote, Sent
from burnish.data.files.opening import unreadable

_BOOT = Path("/proc/sys/kernel/random/boot_id")
Report = Callable[[int], None]


def download(remote: Remote, path: Path, sha256: str = "", report: Report = lambda _: None) -> str:
    """Write a file to `path`, which is there only once it is whole; `path` + `.part` is continued. Gives its sha256.

    `report` gets the number of bytes that were unpacked, of a file that is sent with a Content-Encoding.

    Errors: those of `Remote.replies`; DataError `data.wrong-checksum` if its content is not that of `sha256`; after
    this one and `run.input-changed` nothing is kept. MachineError `machine.no-disk` if what is unpacked does not fit.
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
    if not (is_resumable and _can_continue(part, record, known)):
        part.unlink(missing_ok=True)
        write_json(record, known)
    was_started = part.stat().st_size if part.exists() else 0
    try:
        if is_resumable:
            sent = _continue(remote if remote.validator else replace(remote, is_pinned=True), part, record)
        else:
            sent = _from_the_start(remote, part)
    except RunError as error:
        if error.code == "run.input-changed":  # what is there may be a part of another file, or be cut off
            part.unlink(missing_ok=True)
            record.unlink(missing_ok=True)
        raise
    whole = _content(remote, part, sent, report)
    found = _sha256(whole)
    if sha256 and found != sha256:
        part.unlink()
        whole.unlink(missing_ok=True)
        if was_started:  # the parts may be of two files
            remote.connection.received(-was_started)
            return download(remote, path, sha256, report)
        what = f"{remote.shown} ({remote.url}) has the sha256 {found}, and not {sha256}"
        fix = "check the address and the checksum; a file that was damaged on its way is downloaded anew by a rerun"
        raise DataError("data.wrong-checksum", what, fix)
    sync(whole)  # or a loss of power could leave its name without its bytes
    os.replace(whole, path)
    part.unlink(missing_ok=True)
    record.unlink()
    return found


def _content(remote: Remote, part: Path, sent: Sent, report: Report) -> Path:
    """The file with the content of what was sent: `part` itself, unless it has a Content-Encoding to unpack.

    Errors: DataError `data.unreadable` for what cannot be unpacked; those of `_copy`.
    """
    with io.BufferedReader(cast(Any, part.open("rb", buffering=0)), HEAD) as packed:
        content = unpacked(packed, sent.coding or "", remote.name)
        if content is packed:
            return part
        whole = part.with_name(f"{part.name}.unpacked")
        try:
            with content:
                _copy(content, whole, remote, report)
        except (EOFError, OSError, zlib.error) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise unreadable(remote.shown, error) from error
        except Exception as error:
            if type(error).__module__.partition(".")[0] != "zstandard":
                raise
            raise unreadable(remote.shown, error) from error
    return whole


def _copy(content: io.BufferedReader, whole: Path, remote: Remote, report: Report) -> None:
    """Errors: RunError `run.interrupted`; MachineError `machine.no-disk`; and then no file is left."""
    left = free = shutil.disk_usage(whole.parent).free
    try:
        with whole.open("wb") as file:
            while piece := content.read(CHUNK):
                remote.refuse_stop()
                left -= len(piece)
                if left < 0:
                    what = f"{remote.shown} unpacks to more than the {file_size(free)} that are free in {whole.parent}"
                    raise MachineError("machine.no-disk", what, "free space, or fetch a part: `limit`")
                file.write(piece)
                report(len(piece))
    except BaseException:
        whole.unlink(missing_ok=True)
        raise


def _can_continue(part: Path, record: Path, known: dict[str, Any]) -> bool:
    """Whether a part is of this file, and is whole or of a file whose server said how long it is.

    Without a length nothing shows later how much is missing. What is packed anew for each reply may differ.
    """
    try:
        noted, size = read_json(record), part.stat().st_size
    except (OSError, ValueError):
        return False
    if any(name not in noted or noted[name] != value for name, value in known.items()):
        return False
    if "complete" in noted:
        return noted["complete"] == size
    return bool(noted.get("names_length")) and not noted.get("coding")


def _continue(remote: Remote, part: Path, record: Path) -> Sent:
    """Download what is missing. The record notes how it is sent, and the length once a reply ended as whole."""
    noted = read_json(record)
    sent = Sent(noted.get("coding"), noted.get("names_length", False))
    if "complete" in noted:
        remote.connection.received(noted["complete"])
        return sent
    with part.open("ab") as file:
        start = file.tell()
        if remote.size is not None and start > remote.size:
            start = 0
            file.truncate(0)
        remote.connection.received(start)
        for piece in remote.replies(start, sent=sent):
            if (noted.get("coding"), noted.get("names_length")) != (sent.coding, sent.names_length):
                noted |= asdict(sent)
                write_json(record, noted)
            file.write(piece)
        length = file.tell()
    write_json(record, noted | asdict(sent) | {"complete": length})
    return sent


def _from_the_start(remote: Remote, part: Path) -> Sent:
    """Without an ETag or a checksum a later part may be of another file: every attempt is whole."""
    for attempt in range(remote.connection.retries + 1):
        done, sent = 0, Sent()
        try:
            with part.open("wb") as file:
                for piece in remote.replies(sent=sent):
                    file.write(piece)
                    done += len(piece)
            return sent
        except MachineError:
            remote.connection.received(-done)
            if not done or attempt == remote.connection.retries:
                raise
    raise AssertionError


def _boot() -> str:
    """Which start of the machine this is: what was written before a loss of power may not have reached the disk."""
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
