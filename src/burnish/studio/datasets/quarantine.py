"""Rows that a step did not keep: bad ones with file, line, field and reason, and those that were dropped, counted."""

from collections import Counter
from pathlib import Path
from typing import Any

from burnish.core.errors import AskError
from burnish.core.faults import reason
from burnish.core.files import parsed_json, read_json
from burnish.core.runs.records import broken, is_there
from burnish.core.runs.workspace import Workspace
from burnish.studio.datasets.names import find, refuse_damage
from burnish.studio.datasets.reading import MOST_ROWS

_MOST_READ = 256 << 20
_TEXT = 4_000


def quarantine(name: str, *, offset: int = 0, limit: int = 50, workspace: Path | str | None = None) -> dict[str, Any]:
    """Of a dataset that `prepare` or `clean` wrote: the numbers of rows `read`, `kept`, `quarantined` and `dropped` (by
    reason), the bad `rows` of a page (`source`, `field`, `reason`, `text`), and how many there are by reason.

    Errors: AskError `ask.wrong-kind` for files that no step has read yet, `ask.wrong-value`.
    """
    if offset < 0 or not 1 <= limit <= MOST_ROWS:
        what = f"a page of {limit} rows from {offset} is out of bounds"
        raise AskError("ask.wrong-value", what, f"set limit to 1 to {MOST_ROWS}, and offset to 0 or more")
    place = Workspace.find(workspace)
    found = find(name, place)
    if found.run is None:
        what = f"{found.name} is a file: rows are put into quarantine when a step prepares or cleans it"
        raise AskError("ask.wrong-kind", what, f"run: burnish prepare --source {found.ref}; or look at its bad rows")
    artifact = found.artifact
    if artifact is not None:
        refuse_damage(artifact, found.run.name, place)
    counts = counts_of(found.path / "stats.json")
    rows, reasons, unread = _bad_rows(found.path / "quarantine.jsonl", offset, limit)
    return {
        "name": found.name,
        "run": found.run.name,
        **counts,
        "reasons": dict(reasons.most_common(50)),
        "rows": rows,
        "offset": offset,
        "total": counts.get("quarantined", reasons.total()),
        "unread_bytes": unread,
    }


def counts_of(path: Path) -> dict[str, Any]:
    """What stats.json counts; empty if there is none. Errors: RunError `run.broken-record` for other than counts."""
    if not is_there(path):
        return {}
    try:
        stats: dict[str, Any] = read_json(path)
        found = {key: stats[key] for key in ("read", "kept", "quarantined", "dropped") if key in stats}
        dropped: dict[str, Any] = found.get("dropped", {})
        numbers: list[Any] = [*(found[key] for key in found if key != "dropped"), *dropped.values()]
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise broken(path, f"cannot be read ({reason(error)})") from None
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise broken(path, f"has counts of rows that are none: {str(found)[:200]}")
    return found


def _bad_rows(path: Path, offset: int, limit: int) -> tuple[list[dict[str, Any]], Counter[str], int]:
    """A page of the bad rows, the reasons of all, and the bytes behind the first 256 MB, which are not read."""
    rows: list[dict[str, Any]] = []
    reasons: Counter[str] = Counter()
    if not path.is_file():
        return rows, reasons, 0
    with path.open("rb") as file:
        number = 0
        while file.tell() < _MOST_READ and (line := file.readline()):
            bad = _bad_row(path, number, line)
            reasons[_kind_of(bad["reason"])] += 1
            if offset <= number < offset + limit:
                text = bad.get("raw", "")
                shown = {"text": text[:_TEXT], "cut": len(text) > _TEXT}
                rows.append({"row": number, **{key: bad[key] for key in ("source", "field", "reason")}, **shown})
            number += 1
        return rows, reasons, path.stat().st_size - file.tell()


def _bad_row(path: Path, number: int, line: bytes) -> dict[str, str]:
    try:
        bad: Any = parsed_json(line)
        if all(isinstance(bad[key], str) for key in ("source", "field", "reason")) and isinstance(
            bad.get("raw", ""), str
        ):
            return bad
    except (ValueError, KeyError, TypeError):
        pass
    raise broken(path, f"has a line {number + 1} that is no row of a quarantine")


def _kind_of(reason: str) -> str:
    """A reason without what is of one row alone: numbers, and what comes after a colon."""
    words = reason.partition(":")[0]
    return "".join("#" if letter.isdigit() else letter for letter in words)[:120]
