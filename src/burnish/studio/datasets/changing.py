"""Changes of uploads: a row is edited in a new version of the file, a file is deleted. No other data is changed."""

import json
import os
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from burnish.core.errors import AskError, RunError
from burnish.core.fingerprint import stamp_of
from burnish.core.runs.workspace import Workspace
from burnish.studio.datasets.names import Dataset, find, newest_version, next_version, uploaded
from burnish.studio.datasets.readers import reader_of
from burnish.studio.datasets.reading import ask_viewing
from burnish.studio.datasets.records import record_path, upload_record, with_hash
from burnish.studio.datasets.uploading import Upload

_BLOCK = 1 << 20


def edit_row(
    name: str,
    row: int,
    value: Mapping[str, Any] | None,
    *,
    sha256: str | None = None,
    newest: str | None = None,
    workspace: Path | str | None = None,
) -> dict[str, Any]:
    """Write a new version of an uploaded JSON Lines file with another `value` of a row, or without the row if it is
    None; the old version stays. Rows are counted from 0, as `rows` does. Returns the record of the new version.

    `sha256` and `newest` are those of the file as it was looked at, of `dataset`: if it has changed since, or somebody
    has made a newer version, nothing is written.

    Errors: AskError `ask.wrong-value` for what is not an upload, not JSON Lines, not JSON, or no row of the file's
    layout, with file, line and field; `ask.bad-reference` for a row that is not there; RunError `run.input-changed` for
    a file that is not the one that was looked at, `ask.name-taken` if a version is newer; those of `upload`.
    """
    place = Workspace.find(workspace)
    found = _upload(name, place, "edited")
    if row < 0:
        raise AskError("ask.wrong-value", f"row {row} is below 0", "rows are counted from 0")
    line = None if value is None else _line_of(value)
    version = "" if newest is None else _version_after(found, newest, place)
    lies = ask_viewing("line", found, place, row=row, value=value)
    try:
        file = found.path.open("rb")
    except FileNotFoundError:
        raise _changed(found) from None
    with file:
        _refuse_changed(found, file, lies["stamp"])
        if sha256 is not None and with_hash(upload_record(found.name, place), place).sha256 != sha256.lower():
            raise _changed(found)
        with Upload(found.name, place, existing="version", edited_from=found.name, version=version) as receiving:
            for part in _edited(file, lies, line):
                receiving.write(part)
            _refuse_changed(found, file, lies["stamp"])
            return receiving.finish()


def _version_after(found: Dataset, seen: str, place: Workspace) -> str:
    """The name of the next version. An edit by somebody who has not seen the newest one is refused: it would lack what
    was changed there."""
    taken = uploaded(place)
    newest = newest_version(found.name, taken)
    if newest != seen:
        what = f"the newest version of {found.name} is {newest} now, and it was {seen!r:.140} when you looked at it"
        raise AskError("ask.name-taken", what, f"look at {newest}, and change that; nothing was written")
    return next_version(newest, taken)


def _refuse_changed(found: Dataset, file: BinaryIO, stamp: list[int]) -> None:
    if stamp_of(os.fstat(file.fileno())) != stamp:
        raise _changed(found)


def _changed(found: Dataset) -> RunError:
    what = f"{found.name} was changed or replaced since you looked at it"
    return RunError("run.input-changed", what, "look at its rows again; nothing was written")


def _line_of(value: Mapping[str, Any]) -> bytes:
    """A row as a line of JSON in UTF-8, without its end."""
    for key, part in value.items():
        try:
            _json_of({key: part}).encode()
        except UnicodeEncodeError:
            raise _no_json(key, "half of a surrogate pair (\\ud800 to \\udfff alone) is no character") from None
        except ValueError:
            raise _no_json(key, "a number is NaN or infinite, which JSON does not have") from None
        except RecursionError:
            raise _no_json(key, "it is nested too deeply") from None
    return _json_of(value).encode()


def _json_of(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "), allow_nan=False)


def _no_json(key: str, why: str) -> AskError:
    return AskError("ask.wrong-value", f"value.{ascii(key)[1:-1]:.140}: {why}", "correct it; the file was not changed")


def _edited(file: BinaryIO, lies: Mapping[str, Any], line: bytes | None) -> Generator[bytes]:
    """The bytes of a file with another line, or without it."""
    yield from _blocks(file, lies["start"])
    if line is not None:
        yield line + lies["end"].encode()
    file.seek(lies["start"] + lies["size"])
    yield from _blocks(file, None)


def _blocks(file: BinaryIO, most: int | None) -> Generator[bytes]:
    left = most
    while left is None or left > 0:
        block = file.read(_BLOCK if left is None else min(left, _BLOCK))
        if not block:
            return
        left = None if left is None else left - len(block)
        yield block


def delete(name: str, *, workspace: Path | str | None = None) -> dict[str, Any]:
    """Delete an upload and its record; returns its `name`.

    Errors: AskError `ask.wrong-value` for what is not an upload; RunError `run.busy` if it is an input of a step that
    runs or waits in the queue.
    """
    place = Workspace.find(workspace)
    found = _upload(name, place, "deleted")
    if reader := reader_of(found.path, place):
        what = f"{found.name} is an input of {reader}, which is in progress"
        raise RunError(
            "run.busy", what, f"wait for it, or stop it: burnish runs stop {'/'.join(reader.split('/')[:2])}"
        )
    record_path(found.name, place).unlink(
        missing_ok=True
    )  # first: a record without its file could be taken for another's
    found.path.unlink(missing_ok=True)
    return {"name": found.name, "deleted": True}


def _upload(name: str, place: Workspace, done: str) -> Dataset:
    found = find(name, place)
    if found.origin != "upload":
        what = f"{found.name} is {'an artifact' if found.origin == 'artifact' else 'a file of the workspace'}"
        raise AskError("ask.wrong-value", f"{what}: only uploads are {done} here", "upload a copy, and change that")
    return found
