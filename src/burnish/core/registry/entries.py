"""An entry of the registry: the versions of one name, as its history leaves them, and a readable file for each.

`<number>.json` shows a version as it is now. It is written after the history, and can be rebuilt from it; where the
history is damaged, it is the source to rebuild that from.
"""

import contextlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from burnish.core.errors import AskError, RunError
from burnish.core.files import jsonable, write_json
from burnish.core.fingerprint import of_value
from burnish.core.naming import nearest
from burnish.core.printable import one_line
from burnish.core.registry.history import FILE, Change, damaged, read_history
from burnish.core.registry.names import LATEST, STAGES, Stage, check_stage, number_of
from burnish.core.runs.records import is_there, read_text


@dataclass(frozen=True)
class Version:
    """One version: the record that it was registered with, its stage and tags. `removed` is the change that did it."""

    name: str
    number: int
    record: Mapping[str, Any]
    registered: Change
    stage: Stage = "candidate"
    tags: tuple[str, ...] = ()
    removed: Change | None = None

    @property
    def ref(self) -> str:
        return f"{self.name}@{self.number}"

    @property
    def kind(self) -> str:
        return self.record["kind"]

    @property
    def fingerprint(self) -> str:
        return self.record["fingerprint"]

    def as_dict(self) -> dict[str, Any]:
        """The version as its file shows it."""
        shown: dict[str, Any] = {"name": self.name, "version": self.number, "stage": self.stage, "tags": [*self.tags]}
        if self.removed is not None:
            shown["removed"] = self.removed.model_dump(include={"at", "who", "why"})
        made = {"who": self.registered.who, "at": self.registered.at, "why": self.registered.why}
        return {**shown, **made, **self.record}


@dataclass(frozen=True)
class Entry:
    """All versions of a name by number, removed ones included, and every change."""

    name: str
    versions: Mapping[int, Version]
    changes: tuple[Change, ...]
    last: str
    """The checksum of the history."""
    faults: tuple[str, ...] = ()
    """Version files that are damaged or do not match the history."""

    @property
    def live(self) -> dict[int, Version]:
        return {number: version for number, version in self.versions.items() if version.removed is None}

    @property
    def kind(self) -> str:
        """The kind of every version of the name."""
        return next(iter(self.versions.values())).kind if self.versions else ""

    def version(self, selector: str) -> Version:
        """The version of a number, `latest`, a stage or a tag.

        Errors: AskError `ask.bad-reference` if there is none, it was removed, or several are in the stage.
        """
        live, ref = self.live, f"{self.name}@{selector}"
        number = number_of(selector)
        if selector == LATEST and live:
            return live[max(live)]
        if number is not None and number in live:
            return live[number]
        if number is not None and number in self.versions:
            raise self._was_removed(self.versions[number])
        found = [version for version in live.values() if selector == version.stage or selector in version.tags]
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(version.ref for version in found)
            raise AskError("ask.bad-reference", f"'{ref}' is ambiguous: {names} are {selector}", "name one of them")
        if not live:
            raise AskError("ask.bad-reference", f"there is no '{ref}': every version was removed", "register one")
        known = [version.ref for version in live.values()]
        if selector in STAGES:
            hint = f"promote one: `burnish {self.kind}s promote {known[-1]}`"
            raise AskError("ask.bad-reference", f"there is no '{ref}': no version of {self.name} is {selector}", hint)
        known += [f"{self.name}@{tag}" for version in live.values() for tag in (*version.tags, version.stage)]
        hint = nearest(ref, {*known, f"{self.name}@{LATEST}"})
        raise AskError("ask.bad-reference", f"there is no '{ref}' in the registry", hint)

    def _was_removed(self, version: Version) -> AskError:
        change = version.removed
        assert change is not None
        why = f": {one_line(change.why)}" if change.why else ""
        live = ", ".join(other.ref for other in self.live.values())
        fix = f"use {live}" if live else "register it again: its number is not used again"
        return AskError("ask.bad-reference", f"{version.ref} was removed by {one_line(change.who)}{why}", fix)


def read_entry(folder: Path) -> Entry:
    """The entry of a folder. RunError `run.broken-record` if its history is damaged."""
    path = folder / FILE
    if (fault := no_folder(folder)) is not None:
        raise fault
    files = {number: _read_file(path) for number, path in version_files(folder).items()}  # before what they follow
    if not files and not is_there(path):
        return Entry(folder.name, {}, (), "")
    history = read_history(path)
    versions = versions_of(folder.name, path, history.changes)
    seen = [shown["changes"] for shown in files.values() if isinstance(shown, dict)]
    if max(seen, default=0) > len(history.changes):
        what = f"has {len(history.changes)} changes, but the versions beside it show {max(seen)}: lines were removed"
        raise damaged(path, what)
    if files and not history.changes:
        raise damaged(path, "is empty, though there are versions beside it")
    if not history.changes and path.stat().st_size:
        raise damaged(path, "has no complete line")
    faults = [shown for shown in files.values() if isinstance(shown, str)]
    return Entry(folder.name, versions, history.changes, history.last, tuple(faults))


def versions_of(name: str, path: Path, changes: Iterable[Change]) -> dict[int, Version]:
    """What a history leaves. RunError `run.broken-record` for one that makes no sense."""
    versions: dict[int, Version] = {}
    for number, change in enumerate(changes, start=1):
        try:
            _apply(versions, name, change)
        except (KeyError, TypeError, ValueError, AttributeError, AskError) as error:
            raise damaged(path, f"line {number} makes no sense ({change.change} {change.version}: {error})") from None
    return versions


def _apply(versions: dict[int, Version], name: str, change: Change) -> None:
    number, details = change.version, change.details
    if change.change == "register":
        if number in versions:
            raise ValueError("it is registered already")
        record = details["record"]
        check_record(record)
        stage, tags = details.get("stage", "candidate"), tuple(details.get("tags", ()))
        versions[number] = Version(name, number, record, change, check_stage(stage), tags)
        return
    version = versions[number]
    if version.removed is not None:
        raise ValueError("it was removed")
    match change.change:
        case "promote" | "demote":
            versions[number] = replace(version, stage=check_stage(details["to"]))
            for other in details.get("displaced", ()):
                versions[other] = replace(versions[other], stage="retired")
        case "tag":
            for other in versions.values():  # a tag is of one version
                kept = tuple(tag for tag in other.tags if tag != details["tag"])
                versions[other.number] = replace(other, tags=kept)
            versions[number] = replace(version, tags=(*versions[number].tags, details["tag"]))
        case "untag":
            versions[number] = replace(version, tags=tuple(tag for tag in version.tags if tag != details["tag"]))
        case "remove":
            versions[number] = replace(version, removed=change, tags=())
        case "rebuild":
            stage, tags = check_stage(details["stage"]), tuple(details["tags"])
            versions[number] = replace(version, stage=stage, tags=tags, removed=change if details["removed"] else None)


_NEEDED = {"kind": str, "fingerprint": str, "artifact": dict, "files": (dict, type(None)), "digest": str}


def check_record(record: Any) -> None:
    """Refuse a record without what every version has. Errors: KeyError, TypeError."""
    for key, kind in _NEEDED.items():
        if not isinstance(record[key], kind):
            raise TypeError(f"'{key}' is {type(record[key]).__name__}")
    if not isinstance(record["artifact"]["path"], str):
        raise TypeError("the artifact has no path")


def is_entry(folder: Path) -> bool:
    """Whether a folder holds anything of the registry, cannot be listed, or is not a folder."""
    if no_folder(folder) is not None:
        return is_there(folder)
    history = folder / FILE
    is_empty = history.is_file() and not history.stat().st_size  # its first writer was killed
    return (is_there(history) and not is_empty) or bool(version_files(folder))


def no_folder(path: Path) -> RunError | None:
    """The error of a path, of the registry or of a name in it, that is not a folder, or not one to read."""
    if path.is_dir():
        try:
            os.listdir(path)
            os.stat(path / ".")
        except OSError as error:
            return RunError("run.broken-record", f"{path} cannot be read ({error.strerror})", f"chmod u+rwx {path}")
        return None
    what = f"is a link to {os.readlink(path)}, where there is no folder" if path.is_symlink() else "is not a folder"
    fix = "mount what it was, or move it away and restore the folder from a copy; then see `burnish reindex`"
    return RunError("run.broken-record", f"{path} {what}", fix)


def version_files(folder: Path) -> dict[int, Path]:
    """The files of the versions of a name, by number."""
    found: dict[int, Path] = {}
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            number = number_of(path.stem) if path.suffix == ".json" else None
            if number is not None:
                found[number] = path
    return found


def write_files(folder: Path, entry: Entry, *, every: bool = False) -> list[str]:
    """Write the file of each version that does not show what the history says, or of `every` one.

    Returns why one cannot be written.
    """
    faults: list[str] = []
    for number, version in entry.versions.items():
        path = folder / f"{number}.json"
        if not every and matches(version, path):
            continue
        shown = jsonable({**version.as_dict(), "changes": len(entry.changes)})
        try:
            write_json(path, {**shown, "sha256": of_value(shown)})
        except OSError as error:
            faults.append(f"{path} cannot be written ({error.strerror}): {version.ref} is only in {FILE}")
    return faults


def matches(version: Version, path: Path) -> bool:
    """Whether the file of a version shows what the history says."""
    shown = _read_file(path)
    if isinstance(shown, str):
        return False
    return {key: value for key, value in shown.items() if key != "changes"} == jsonable(version.as_dict())


def readable_file(path: Path) -> dict[str, Any] | None:
    """The content of a version's file, without its checksum; None if it is damaged."""
    shown = _read_file(path)
    return None if isinstance(shown, str) else shown


def _read_file(path: Path) -> dict[str, Any] | str:
    """The content of a version's file, or what is wrong with it."""
    try:
        value: Any = json.loads(read_text(path))
    except RunError as error:
        return error.what
    except (ValueError, RecursionError):
        return f"{path} is not valid JSON"
    if not isinstance(value, dict):
        return f"{path} is not an object"
    shown = cast(dict[str, Any], value)
    digest = shown.pop("sha256", None)
    with contextlib.suppress(ValueError):
        if digest == of_value(shown) and isinstance(shown.get("changes"), int):
            return shown
    return f"{path} was changed since it was written: its checksum differs"
