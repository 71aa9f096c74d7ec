"""Repair the files of one name: damaged ones are set aside, and written again from what can be read.

The history and the files of the versions each hold every record. Where the history is damaged, its readable lines come
first, and the file of a version that was written later overrules them.
"""

import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burnish.core.errors import BurnishError
from burnish.core.registry.entries import (
    Entry,
    Version,
    check_record,
    matches,
    no_folder,
    read_entry,
    readable_file,
    version_files,
    versions_of,
    write_files,
)
from burnish.core.registry.history import FILE, Change, readable_changes, rewrite
from burnish.core.runs.records import is_there

_SHOWN_OF_CHANGE = ("who", "at", "why")
_NOT_OF_RECORD = ("name", "version", "stage", "tags", "changes", "removed", *_SHOWN_OF_CHANGE)


@dataclass(frozen=True)
class Repair:
    """What was found, and what was done about it."""

    subject: str
    what: str


def rebuild(folder: Path, who: str) -> list[Repair]:
    """Repair the entry of a folder; the caller holds the lock of its name. Returns nothing if it is whole."""
    if no_folder(folder) is not None:
        return []  # reported of the registry as a whole
    try:
        entry = read_entry(folder)
    except BurnishError as error:
        return [Repair(folder.name, error.what), *_rebuild_history(folder, who)]
    return list(_rewrite_files(folder, entry))


def _rewrite_files(folder: Path, entry: Entry, *, every: bool = False) -> Iterator[Repair]:
    """Set damaged files aside, and write those that do not show what the history says."""
    for number, path in version_files(folder).items():
        if readable_file(path) is None:
            yield Repair(f"{entry.name}@{number}", f"{path} is damaged: kept as {_set_aside(path).name}")
        elif number not in entry.versions:
            yield Repair(f"{entry.name}@{number}", f"{path} is not in the history: kept as {_set_aside(path).name}")
    stale = [v.ref for v in entry.versions.values() if not matches(v, folder / f"{v.number}.json")]
    for fault in write_files(folder, entry, every=every):
        yield Repair(entry.name, fault)
    if stale:
        yield Repair(entry.name, f"written again from the history: {', '.join(stale)}")


def _rebuild_history(folder: Path, who: str) -> Iterator[Repair]:
    path, name = folder / FILE, folder.name
    changes, faults = readable_changes(path) if is_there(path) else ([], [f"{path} is missing"])
    yield from (Repair(name, fault) for fault in faults)
    shown = {
        number: file for number, each in version_files(folder).items() if (file := readable_file(each)) is not None
    }
    kept, versions = _sensible(name, path, [Change(**_plain(change)) for change in changes])
    if len(kept) < len(changes):
        yield Repair(name, f"{len(changes) - len(kept)} readable lines do not fit the others, and are left out")
    added = list(_from_files(name, versions, kept, shown, who))
    if is_there(path):
        yield Repair(name, f"the damaged history is kept as {_set_aside(path, copy=path.is_file()).name}")
    if not kept and not added:
        path.unlink(missing_ok=True)
        yield Repair(name, "nothing of it can be read: run the recipes that register it again")
        return
    rewrite(path, [*kept, *added])
    for change in added:
        yield Repair(f"{name}@{change.version}", f"taken from {change.version}.json: {change.why}")
    entry = _entry(folder, (*kept, *added))
    yield from _rewrite_files(folder, entry, every=True)
    yield Repair(name, f"{len(entry.live)} versions; changes that cannot be read are lost: check the stages")


def _entry(folder: Path, changes: tuple[Change, ...]) -> Entry:
    """The entry of a history that was just written; the files beside it still count the changes of the old one."""
    return Entry(folder.name, versions_of(folder.name, folder / FILE, changes), changes, "")


def _sensible(name: str, path: Path, changes: list[Change]) -> tuple[list[Change], dict[int, Version]]:
    """The changes that can follow each other, in their order, and what they leave."""
    kept: list[Change] = []
    versions: dict[int, Version] = {}
    for change in changes:
        try:
            versions = versions_of(name, path, [*kept, change])
        except BurnishError:
            continue
        kept.append(change)
    return kept, versions


def _from_files(
    name: str, versions: dict[int, Version], kept: list[Change], shown: Mapping[int, dict[str, Any]], who: str
) -> Iterator[Change]:
    """A change for each version that its file shows otherwise than the readable lines, if the file is newer."""
    now = time.time()
    producing = _in_production(versions, kept, shown)
    for number in sorted(shown):
        file, version = shown[number], versions.get(number)
        stage = "retired" if file["stage"] == "production" and number != producing else file["stage"]
        state = {"stage": stage, "tags": file["tags"], "removed": "removed" in file}
        if version is None:
            record = {key: value for key, value in file.items() if key not in _NOT_OF_RECORD}
            try:
                check_record(record)
            except (KeyError, TypeError):
                continue
            made = {key: file[key] for key in _SHOWN_OF_CHANGE}
            made["why"] = made["why"] or "its line in the history was damaged"
            yield Change(change="register", version=number, details={"record": record}, **made)
            version = Version(
                name, number, record, kept[0] if kept else Change(change="register", version=number, **made)
            )
        before = {"stage": version.stage, "tags": list(version.tags), "removed": version.removed is not None}
        if before != state and version.removed is None and file["changes"] >= _last_position(kept, number):
            why = f"stage {stage}, tags {', '.join(file['tags']) or 'none'}{', removed' if state['removed'] else ''}"
            yield Change(change="rebuild", version=number, at=now, who=who, why=why, details=state)
    for number, version in versions.items():
        if version.stage == "production" and number != producing and number not in shown and version.removed is None:
            details = {"stage": "retired", "tags": list(version.tags), "removed": False}
            yield Change(change="rebuild", version=number, at=now, who=who, why="replaced", details=details)


def _in_production(
    versions: Mapping[int, Version], kept: list[Change], shown: Mapping[int, Mapping[str, Any]]
) -> int | None:
    """The one version that is in production by the newest of lines and files."""
    claims = [(_last_position(kept, n), n) for n, v in versions.items() if v.stage == "production" and not v.removed]
    claims += [(f["changes"], n) for n, f in shown.items() if f["stage"] == "production" and "removed" not in f]
    return max(claims)[1] if claims else None


def _last_position(kept: list[Change], number: int) -> int:
    """How many changes there were when a version was last changed, as far as can be read."""
    at = [i for i, c in enumerate(kept, start=1) if c.version == number or number in c.details.get("displaced", ())]
    return max(at, default=0)


def _plain(change: Change) -> dict[str, Any]:
    return change.model_dump(include={*Change.model_fields})


def _set_aside(path: Path, *, copy: bool = False) -> Path:
    """Rename a damaged file, or copy it, so that it is not lost."""
    number = 1
    while is_there(path.with_name(f"{path.name}.damaged-{number}")):
        number += 1
    aside = path.with_name(f"{path.name}.damaged-{number}")
    return shutil.copyfile(path, aside) if copy else path.rename(aside)
