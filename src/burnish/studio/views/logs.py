"""The log of a step by parts and by search: whole lines, without the codes of terminals, with secrets masked.

Positions are those of `RunLog`: they count all bytes that were ever logged, also those that were dropped since.
"""

import functools
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, get_args

from burnish.core.errors import AskError
from burnish.core.paths.within import file_within
from burnish.core.printable import printable
from burnish.core.runs.log import RunLog
from burnish.core.secrets import mask
from burnish.studio.views.files import step_of

Level = Literal["debug", "info", "warning", "error"]
MOST_BYTES = 1 << 20
"""Of a part, and of a line: a longer one is cut."""
_MOST_SEARCHED = 32 << 20
"""Bytes that one call looks into: half a second of a core."""
_MOST_FOUND = 1_000
_LOOKED_BACK = 1 << 18
"""Bytes before a part in which the level of its first lines is looked for: a traceback is shorter."""
_HEAD = re.compile(rb"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)[,.]?(\d{3})?\s+(DEBUG|INFO|WARN(?:ING)?|ERROR|CRITICAL|FATAL)\s")
_LEVELS: dict[bytes, Level] = {
    b"DEBUG": "debug",
    b"INFO": "info",
    b"WARN": "warning",
    b"WARNING": "warning",
    b"ERROR": "error",
    b"CRITICAL": "error",
    b"FATAL": "error",
}
_RANK = {level: rank for rank, level in enumerate(get_args(Level))}
_LOG = re.compile(r".+\.log(\.\d+)?(\.partial)?")
_CODES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[()][0-9A-Za-z]|[@-Z\\^_])")
"""Colours, movements of the cursor, titles of windows, sets of characters."""


@dataclass(frozen=True, slots=True)
class _Line:
    position: int
    raw: bytes
    level: Level | None
    """Of the line, or of the last one before it that names one; None if none does."""


def log(
    recipe: str,
    number: int,
    step: str,
    start: int = -65_536,
    end: int | None = None,
    *,
    workspace: Path | str | None = None,
) -> dict[str, Any]:
    """The lines that begin between two positions, of at most 1 MiB: `start`, `end`, `size`, `dropped` and `lines`.

    A negative `start` counts from the end. The next part begins at `end`; `size` is the position after the last byte,
    and the first `dropped` bytes were rotated away. A line has `position`, `level`, `at` (ISO with an offset; None of a
    line that names no time) and `text`; one that the worker has not ended is left for the next part, one that is longer
    than a part is cut. Half a line is never shown: half a secret would be. Errors: AskError `ask.no-such-run`,
    `ask.wrong-value`.
    """
    if end is not None and start >= 0 and end < start:
        raise AskError("ask.wrong-value", f"a log has no part from {start} to {end}", "ask for an end after the start")
    run = step_of(recipe, number, step, workspace=workspace)
    is_written = run.is_alive()
    file = RunLog(run.log)
    size, dropped = file.end, file.start
    first = max(dropped, size + start if start < 0 else start)
    last = max(first, min(size, first + MOST_BYTES, size if end is None else end))
    data = file.read(first, last)
    skipped = _half_line(file, first, data)
    data = data[skipped:]
    if is_written or last < size:
        is_cut = len(data) == MOST_BYTES and b"\n" not in data
        data = data if is_cut else data[: data.rfind(b"\n") + 1]
    begin = first + skipped
    lines = _shown(list(_lines(data, begin, _level_before(file, begin))))
    return {"start": begin, "end": begin + len(data), "size": size, "dropped": dropped, "lines": lines}


def search(
    recipe: str,
    number: int,
    step: str,
    text: str = "",
    level: Level = "debug",
    limit: int = 200,
    start: int = 0,
    *,
    workspace: Path | str | None = None,
) -> dict[str, Any]:
    """The lines from a position on that hold a text, in any case, and have a level or a graver one: `lines`, `next`.

    A line that names no level has that of the one before it. `next` is where the search goes on, None at the end: a
    call finds at most `limit` lines, and looks into 32 MiB. Errors: as those of `log`.
    """
    if not 1 <= limit <= _MOST_FOUND or level not in _RANK:
        fix = f"ask for 1 to {_MOST_FOUND:,} lines, of a level of {', '.join(_RANK)}"
        raise AskError("ask.wrong-value", f"{limit} lines of level '{level}'", fix)
    run = step_of(recipe, number, step, workspace=workspace)
    run.refuse_misplaced_logs()
    file = RunLog(run.log)
    wanted = text.lower()
    found: list[dict[str, Any]] = []
    position = first = max(start, file.start)
    for line in _lines_from(file, first):
        if len(found) == limit or position - first >= _MOST_SEARCHED:
            return {"lines": found, "next": position, "size": file.end}
        position = line.position + len(line.raw) + 1
        if _RANK[line.level or "debug"] >= _RANK[level] and _may_hold(line.raw, wanted):
            [shown] = _shown([line])
            if wanted in shown["text"].lower():  # of the text without secrets: a search must not find them
                found.append(shown)
    return {"lines": found, "next": None, "size": file.end}


def is_log(name: str) -> bool:
    """Whether programs print into a file of a step what they like: run.log, the log of a rank or of a terminal."""
    return not name.startswith("out/") and _LOG.fullmatch(name) is not None


def log_text(recipe: str, number: int, step: str, name: str, *, workspace: Path | str | None = None) -> Iterator[bytes]:
    """A log as `log` shows it, in parts of whole lines: as much as there is now. Errors: those of `file_of`."""
    run = step_of(recipe, number, step, workspace=workspace)
    return _harmless_parts(file_within(run.folder, name), is_written=run.is_alive())


def _harmless_parts(path: Path, *, is_written: bool) -> Iterator[bytes]:
    with path.open("rb") as file:
        left, rest = os.fstat(file.fileno()).st_size, b""
        while left > 0 and (data := file.read(min(left, MOST_BYTES))):
            left -= len(data)
            data = rest + data
            is_last = left <= 0 and not is_written
            end = len(data) if is_last or len(data) > 2 * MOST_BYTES else data.rfind(b"\n") + 1
            rest = data[end:]
            if end:
                texts = (line["text"] for line in _shown(list(_lines(data[:end], 0, None))))
                yield "".join(f"{text}\n" for text in texts).encode()


def _shown(lines: list[_Line]) -> list[dict[str, Any]]:
    """Lines as a terminal leaves them, harmless: no codes, no secrets, of what was written over only the last.

    They are masked all at once, which is 30 times as fast, unless a rule took an end of a line for a part of a secret.
    """
    texts = [line.raw.decode(errors="replace").rstrip("\r").rpartition("\r")[2] for line in lines]
    whole = _harmless("\n".join(texts)).split("\n")
    shown = whole if len(whole) == len(texts) else list(map(_harmless, texts))
    zone_at = functools.cache(_zone_at)
    return [
        {"position": line.position, "level": line.level, "at": _time_of(line.raw, zone_at), "text": text}
        for line, text in zip(lines, shown, strict=True)
    ]


def _time_of(raw: bytes, zone_at: Callable[[bytes], str | None]) -> str | None:
    """The time of a line with the offset of this machine's zone, in which workers write it; None if it names none."""
    if (head := _HEAD.match(raw)) is None:
        return None
    zone = zone_at(head[1])
    return None if zone is None else f"{head[1].decode().replace(' ', 'T')}.{(head[2] or b'000').decode()}{zone}"


def _zone_at(second: bytes) -> str | None:
    """The offset of this machine's zone at a second, such as `+02:00`; None if no calendar has it."""
    try:
        return datetime.fromisoformat(second.decode()).astimezone().isoformat()[19:]
    except (ValueError, OverflowError, OSError):
        return None


def _harmless(text: str) -> str:
    return printable(mask(_CODES.sub("", text)))


def _may_hold(raw: bytes, wanted: str) -> bool:
    """Whether to look closer: to mask one line takes 0.1 ms."""
    if raw.isascii() and wanted.isascii() and b"\x1b" not in raw:
        return wanted.encode() in raw.lower()
    return wanted in _CODES.sub("", raw.decode(errors="replace")).lower()


def _half_line(file: RunLog, start: int, data: bytes) -> int:
    """The bytes at a position that belong to a line which began before it."""
    is_half = start > 0 and file.read(start - 1, start) != b"\n"  # also where what was before is dropped
    end = data.find(b"\n")
    return 0 if not is_half else end + 1 if end >= 0 else len(data)


def _level_before(file: RunLog, position: int) -> Level | None:
    """The level of the last line that names one, of those that begin before a position and not far from it."""
    first = max(file.start, position - _LOOKED_BACK)
    lines = file.read(first, position).split(b"\n")
    for raw in reversed(lines[0 if first == file.start else 1 :]):  # the first one may be half a line
        if (head := _HEAD.match(raw)) is not None:
            return _LEVELS[head[3]]
    return None


def _lines_from(file: RunLog, start: int) -> Iterator[_Line]:
    position, rest, level = start, b"", _level_before(file, start)
    while part := file.read(position + len(rest), position + len(rest) + MOST_BYTES):
        skipped = _half_line(file, position, part) if not rest else 0
        data, position = rest + part[skipped:], position + skipped
        end = data.rfind(b"\n") + 1 or (len(data) if len(data) >= MOST_BYTES else 0)
        for line in _lines(data[:end], position, level):
            level = line.level
            yield line
        position, rest = position + end, data[end:]
    yield from _lines(rest, position, level)


def _lines(data: bytes, position: int, level: Level | None) -> Iterator[_Line]:
    for raw in data.split(b"\n")[: None if data and not data.endswith(b"\n") else -1]:
        head = _HEAD.match(raw)
        if head is not None:
            level = _LEVELS[head[3]]
        yield _Line(position, raw, level)
        position += len(raw) + 1
