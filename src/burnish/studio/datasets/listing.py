"""The datasets of a workspace: uploads, files below `data/`, and artifacts that hold rows."""

import json
import os
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from burnish.core.files import jsonable, read_json
from burnish.core.runs.workspace import Workspace
from burnish.jobs.index.entry import StepEntry, entry_of
from burnish.studio.datasets.names import KINDS, Dataset, file_of, is_askable, is_own_name, upload_of, uploaded
from burnish.studio.datasets.records import upload_record, with_hash
from burnish.studio.listing.pages import newest_first
from burnish.studio.listing.snapshots import steps_of

_MOST_FILES = 2_000
_COUNTS = ("read", "kept", "quarantined", "dropped", "splits", "tokens", "learned", "kinds")


def datasets(*, workspace: Path | str | None = None) -> dict[str, Any]:
    """`datasets`, the newest first of each origin: uploads, files, artifacts of kind `dataset` or `rows` with the
    counts of their `stats.json`; `not_listed`, how much more there is below `data/`: files beyond the first 2,000, or
    whose names cannot be asked for (not Unicode, with a backslash, `rows` or another of `PARTS`, of an upload with
    `@`), links that lead elsewhere or to a folder, folders that cannot be read; and `damaged`, the steps whose records
    cannot be read. Errors: AskError `ask.no-such-run` if the workspace does not exist."""
    place = Workspace.find(workspace)
    place.refuse_missing()
    names = uploaded(place)
    files, left_out = _files(place)
    uploads = _summaries([upload_of(name, place) for name in names], place)
    others = _summaries([file_of(path, place) for path in files], place)
    steps = newest_first(steps_of(place))
    artifacts = [_of_step(entry, place) for entry in steps if entry.kind in KINDS]
    damaged = [entry.run for entry in steps if entry.state == "damaged"]
    listed = [sorted(part, key=_newest_first) for part in (uploads, others, artifacts)]
    left_out += _not_askable(place, names)
    return {"datasets": [row for part in listed for row in part], "not_listed": left_out, "damaged": damaged}


def _summaries(found: list[Dataset], place: Workspace) -> list[dict[str, Any]]:
    """Of those that are still there: a file may be deleted while the others are looked at."""
    rows: list[dict[str, Any]] = []
    for one in found:
        with suppress(FileNotFoundError):
            rows.append(summary(one, place))
    return rows


def _not_askable(place: Workspace, names: set[str]) -> int:
    """How much was put among the uploads by hand that is no upload: links, folders, names that one cannot have."""
    if not place.uploads.is_dir():
        return 0
    others = (path for path in place.uploads.iterdir() if path.name not in names and not path.name.startswith("."))
    return sum(path.is_symlink() or not path.is_file() or not is_own_name(path.name) for path in others)


def summary(found: Dataset, place: Workspace, *, hashed: bool = False) -> dict[str, Any]:
    """What is known of a dataset without reading its rows. `hashed` adds the sha256 of an upload that lacks one."""
    row: dict[str, Any] = {
        "name": found.name,
        "origin": found.origin,
        "ref": found.ref,
        "kind": found.kind,
        "editable": found.origin == "upload",
    }
    if found.origin == "upload":
        record = upload_record(found.name, place)
        record = with_hash(record, place) if hashed else record
        return {**row, **asdict(record)}
    if found.run is None:
        status = found.path.stat()
        return {**row, "bytes": status.st_size if found.path.is_file() else None, "created": status.st_mtime}
    return {**row, **_made(entry_of(found.run), found.path)}


def _of_step(entry: StepEntry, place: Workspace) -> dict[str, Any]:
    """An artifact, from what the list of runs knows of it."""
    run = place.run(entry.recipe, entry.number, entry.step)
    row = {"name": run.reference, "origin": "artifact", "ref": run.reference, "kind": entry.kind, "editable": False}
    return {**row, **_made(entry, run.out)}


def _made(entry: StepEntry, folder: Path) -> dict[str, Any]:
    measures: dict[str, Any] = json.loads(entry.measures)
    made = {"run": entry.run, "stage": entry.stage, "created": entry.created}
    return {**made, "rows": measures.get("rows"), "stats": _counts(folder)}


def _counts(folder: Path) -> dict[str, Any]:
    """The counts in the `stats.json` of an artifact; empty if there is none, as in rows that were fetched."""
    with suppress(OSError, ValueError, TypeError, AttributeError):
        stats: dict[str, Any] = read_json(folder / "stats.json")
        return {key: jsonable(stats[key]) for key in _COUNTS if key in stats}
    return {}


def _files(place: Workspace) -> tuple[list[Path], int]:
    """The files below `data/`, without uploads and hidden ones; and how much more there is, which is not looked at:
    links that lead out of `data/` or to folders, and folders that cannot be read, count as one each."""
    found: list[Path] = []
    unread: list[OSError] = []
    root, left_out = place.data.resolve(), 0
    for base, folders, files in os.walk(place.data, onerror=unread.append):
        shown = [name for name in folders if not name.startswith(".") and Path(base, name) != place.uploads]
        folders[:] = sorted(name for name in shown if not os.path.islink(os.path.join(base, name)))
        left_out += len(shown) - len(folders)
        for name in sorted(name for name in files if not name.startswith(".")):
            path = Path(base, name) if len(found) < _MOST_FILES else None
            if path and is_askable(path.relative_to(place.root).as_posix()) and _is_file_below(path, root):
                found.append(path)
            else:
                left_out += 1
    return found, left_out + sum(not isinstance(error, FileNotFoundError) for error in unread)


def _is_file_below(path: Path, root: Path) -> bool:
    """Whether it is a file, or a link to one that lies below `root` too."""
    try:
        if not path.is_symlink():
            return path.is_file()
        return path.is_file() and path.resolve().is_relative_to(root)
    except (OSError, RuntimeError):  # such as a link in a circle
        return False


def _newest_first(row: dict[str, Any]) -> tuple[float, str]:
    return (-float(row["created"]), row["name"])
