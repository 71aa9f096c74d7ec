"""Changes of uploads: a row is edited in a new version of the file, a file is deleted. No other data is changed."""

import json
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

from burnish.core.errors import AskError, BurnishError, RunError
from burnish.core.runs.workspace import Workspace
from burnish.studio.datasets.names import Dataset, find
from burnish.studio.datasets.reading import ask_viewing
from burnish.studio.datasets.records import record_path
from burnish.studio.datasets.uploading import Upload

_BLOCK = 1 << 20


def edit_row(
    name: str, row: int, value: Mapping[str, Any] | None, *, workspace: Path | str | None = None
) -> dict[str, Any]:
    """Write a new version of an uploaded JSON Lines file with another `value` of a row, or without the row if it is
    None; the old version stays. Rows are counted from 0, as `rows` does. Returns the record of the new version.

    Errors: AskError `ask.wrong-value` for what is not an upload, not JSON Lines, not JSON, or no row of the file's
    layout, with file, line and field; `ask.bad-reference` for a row that is not there; those of `upload`.
    """
    place = Workspace.find(workspace)
    found = _upload(name, place, "edited")
    if row < 0:
        raise AskError("ask.wrong-value", f"row {row} is below 0", "rows are counted from 0")
    line = None if value is None else _line_of(value)
    lies = ask_viewing("line", found, place, row=row, value=value)
    with Upload(found.name, place, existing="version", edited_from=found.name) as receiving:
        for part in _edited(found.path, lies, line):
            receiving.write(part)
        return receiving.finish()


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


def _edited(path: Path, lies: Mapping[str, Any], line: bytes | None) -> Generator[bytes]:
    """The bytes of a file with another line, or without it."""
    with path.open("rb") as file:
        yield from _blocks(file, lies["start"])
        if line is not None:
            yield line + lies["end"].encode()
        file.seek(lies["start"] + lies["size"])
        yield from _blocks(file, None)


def _blocks(file: Any, most: int | None) -> Generator[bytes]:
    left = most
    while left is None or left > 0:
        block = file.read(_BLOCK if left is None else min(left, _BLOCK))
        if not block:
            return
        left = None if left is None else left - len(block)
        yield block


def delete(name: str, *, workspace: Path | str | None = None) -> dict[str, Any]:
    """Delete an upload and its record; returns its `name`.

    Errors: AskError `ask.wrong-value` for what is not an upload; RunError `run.busy` if a step in progress reads it.
    """
    place = Workspace.find(workspace)
    found = _upload(name, place, "deleted")
    if reader := _reader(found, place):
        raise RunError("run.busy", f"{found.name} is read by {reader}, which is in progress", "stop it, or wait for it")
    found.path.unlink(missing_ok=True)
    record_path(found.name, place).unlink(missing_ok=True)
    return {"name": found.name, "deleted": True}


def _upload(name: str, place: Workspace, done: str) -> Dataset:
    found = find(name, place)
    if found.origin != "upload":
        what = f"{found.name} is {'an artifact' if found.origin == 'artifact' else 'a file of the workspace'}"
        raise AskError("ask.wrong-value", f"{what}: only uploads are {done} here", "upload a copy, and change that")
    return found


def _reader(found: Dataset, place: Workspace) -> str:
    """The run in progress that reads an upload; empty if none does."""
    for run in place.all_runs():
        try:
            if run.record["state"] == "running" and run.is_alive():
                inputs: Mapping[str, Any] = run.job["inputs"]
                if any(Path(value["path"]) in (found.path, found.path.resolve()) for value in inputs.values()):
                    return run.name
        except (BurnishError, KeyError, TypeError):
            continue
    return ""
