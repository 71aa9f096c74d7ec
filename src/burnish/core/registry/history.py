"""The history of one name: one line of JSON for each change, appended in one write. It is what the registry believes.

A line holds its own sha256 and that of the line before, so that an edited, lost or swapped line is found. A last line
without a line feed is what a killed writer left: it never counted, and the next writer removes it.
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from burnish.core.errors import RunError
from burnish.core.files import jsonable, sync, write_atomically
from burnish.core.fingerprint import of_value
from burnish.core.runs.records import is_there, read_raw

Kind = Literal["register", "promote", "demote", "tag", "untag", "remove", "rebuild"]
FILE = "history.jsonl"
REPAIR = "burnish reindex keeps a copy, and rebuilds it from what can be read"


class Change(BaseModel):
    """One change of one version: what, when, by whom and why. `details` depend on the kind."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, defer_build=True)
    change: Kind
    version: int = Field(ge=1)
    at: float
    who: str
    why: str = ""
    details: dict[str, Any] = {}


class _Line(Change):
    previous: str
    sha256: str


@dataclass(frozen=True)
class History:
    """The changes of a name in their order, and the checksum of the last line."""

    changes: tuple[Change, ...]
    last: str = ""


def read_history(path: Path) -> History:
    """Every change. RunError `run.broken-record` with the line that is damaged."""
    found = [_parsed(line) for line in _complete_lines(path)]
    previous = ""
    for number, line in enumerate(found, start=1):
        if isinstance(line, str):
            raise damaged(path, f"line {number} {line}")
        if line.previous != previous:
            raise damaged(path, f"line {number} does not follow the line before it: lines were removed or moved")
        previous = line.sha256
    return History(tuple(line for line in found if not isinstance(line, str)), previous)


def readable_changes(path: Path) -> tuple[list[Change], list[str]]:
    """The changes of a damaged history that are as they were written, and what is wrong with the others."""
    try:
        lines = [_parsed(line) for line in _complete_lines(path)]
    except RunError as error:
        return [], [error.what]
    faults = [f"line {number} {line}" for number, line in enumerate(lines, start=1) if isinstance(line, str)]
    return [line for line in lines if not isinstance(line, str)], faults


def append(path: Path, change: Change, last: str) -> str:
    """Append a change; returns its checksum. The caller holds the lock of the name, and has read the history."""
    text, digest = _line(change, last)
    is_new = not is_there(path)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        end = _end_of_lines(descriptor)
        os.ftruncate(descriptor, end)
        os.lseek(descriptor, end, os.SEEK_SET)
        left = memoryview(text.encode())
        while left:
            left = left[os.write(descriptor, left) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if is_new:
        sync(path.parent)
    return digest


def rewrite(path: Path, changes: Iterable[Change]) -> None:
    """Replace a damaged history."""
    last, lines = "", list[str]()
    for change in changes:
        text, last = _line(change, last)
        lines.append(text)
    write_atomically(path, "".join(lines))


def damaged(path: Path, what: str) -> RunError:
    return RunError("run.broken-record", f"{path} {what}", REPAIR)


def _line(change: Change, last: str) -> tuple[str, str]:
    value: Mapping[str, Any] = {**jsonable(change.model_dump(exclude={"previous", "sha256"})), "previous": last}
    digest = of_value(value)
    return json.dumps({**value, "sha256": digest}, ensure_ascii=False, separators=(",", ":")) + "\n", digest


def _parsed(raw: bytes) -> _Line | str:
    """A line, or what is wrong with it."""
    try:
        value: Any = json.loads(raw.decode("utf-8"))
    except UnicodeDecodeError:
        return "is not UTF-8 text"
    except (ValueError, RecursionError):
        return "is not valid JSON"
    if not isinstance(value, dict):
        return "is not an object"
    digest = value.pop("sha256", None)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    try:
        if digest != of_value(value):
            return "was changed since it was written: its checksum differs"
        return _Line.model_validate({**value, "sha256": digest})
    except ValidationError as error:
        return f"cannot be read ({error.errors(include_url=False)[0]['msg']}): another version of burnish wrote it"
    except ValueError:  # NaN, or half of a surrogate pair
        return "is not valid JSON"


def _complete_lines(path: Path) -> list[bytes]:
    try:
        raw = read_raw(path)
    except RunError as error:
        raise RunError(error.code, error.what, REPAIR) from None
    return raw[: raw.rfind(b"\n") + 1].split(b"\n")[:-1]


def _end_of_lines(descriptor: int) -> int:
    """The position after the last line feed."""
    end = os.fstat(descriptor).st_size
    while end:
        start = max(0, end - 65_536)
        position = os.pread(descriptor, end - start, start).rfind(b"\n")
        if position >= 0:
            return start + position + 1
        end = start
    return 0
