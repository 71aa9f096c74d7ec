"""The registry of a workspace: look up versions by reference, and change them, one process at a time for each name.

registry/<name>/history.jsonl   every change (see `history.py`)
registry/<name>/<number>.json   each version as it is now (see `entries.py`)
registry/.locks/<name>.lock     held while a name is changed
registry/.locks/.gc.lock        held while a version is added, and while `burnish gc` takes folders away
"""

import contextlib
import time
from collections.abc import Container, Generator, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from burnish.core.errors import AskError, BurnishError, RunError
from burnish.core.naming import nearest
from burnish.core.registry.description import path_of
from burnish.core.registry.entries import (
    Entry,
    Version,
    is_entry,
    no_folder,
    read_entry,
    version_files,
    versions_of,
    write_files,
)
from burnish.core.registry.history import FILE, Change, Kind, append
from burnish.core.registry.names import check_name, is_name, split_reference, with_article
from burnish.core.runs.claims import claim, claims_of
from burnish.core.runs.locks import held
from burnish.core.runs.records import is_there
from burnish.core.runs.run import Run, run_of_output
from burnish.core.runs.workspace import Workspace

_GC = ".gc"
_MOST_SHOWN = 3


@dataclass
class Draft:
    """An entry while its lock is held; `change` commits one change."""

    folder: Path
    entry: Entry
    faults: list[str] = field(default_factory=list[str])
    """Files that could not be written."""

    @property
    def next_number(self) -> int:
        """The number of the next version: of none before, removed ones and leftover files included."""
        return max((0, *self.entry.versions, *version_files(self.folder))) + 1

    def change(self, kind: Kind, number: int, who: str, why: str = "", **details: Any) -> Version:
        """Append a change to the history, then write the files of the versions. Returns the version."""
        change = Change(change=kind, version=number, at=time.time(), who=who, why=why, details=details)
        changes = (*self.entry.changes, change)
        path = self.folder / FILE
        versions = versions_of(self.entry.name, path, changes)  # refuses what could not be read again
        last = append(path, change, self.entry.last)
        self.entry = replace(self.entry, versions=versions, changes=changes, last=last)
        self.faults += write_files(self.folder, self.entry)
        return self.entry.versions[number]


class Registry:
    """Entries by name. Reading needs no lock: a history only grows, and what is read of it is a state that was."""

    def __init__(self, workspace: Workspace):
        self.workspace = workspace
        self.folder = workspace.root / "registry"

    def names(self) -> list[str]:
        """The names that have a history or files of versions, damaged ones included.

        RunError `run.broken-record` if the registry is not a folder, or cannot be read.
        """
        if not is_there(self.folder):
            return []
        if (fault := no_folder(self.folder)) is not None:
            raise fault
        return sorted(path.name for path in self.folder.iterdir() if is_name(path.name) and is_entry(path))

    def entry(self, name: str) -> Entry:
        """The entry of a name. Errors: AskError `ask.bad-reference`; RunError `run.broken-record`."""
        names = self.names()
        if name not in names:
            hint = nearest(name, names) if names else "register one: `burnish adapters register REF --name NAME`"
            raise AskError("ask.bad-reference", f"there is no '{name}' in the registry", hint)
        return read_entry(self.folder / name)

    def entries(self) -> tuple[list[Entry], list[BurnishError]]:
        """Every entry, and an error for each that is damaged, or for the registry as a whole."""
        found: list[Entry] = []
        errors: list[BurnishError] = []
        try:
            names = self.names()
        except BurnishError as error:
            return [], [error]
        for name in names:
            try:
                found.append(read_entry(self.folder / name))
            except BurnishError as error:
                errors.append(error)
        return found, errors

    def survey(self) -> tuple[list[Entry], list[BurnishError], list[Run]]:
        """Every entry, an error for all that is damaged or was lost, and the runs that lost versions were made by."""
        entries, errors = self.entries()
        root = self.workspace.root
        versions = [version for entry in entries for version in entry.versions.values()]
        known = {path_of(version.record, root) for version in versions if version.record["files"] is not None}
        lost = {run: refs[-1] for run, refs in claims_of(self.workspace) if run.out not in known}
        try:
            damaged = set(self.names()) - {entry.name for entry in entries}
        except BurnishError:  # of the whole registry, in `errors`
            return entries, errors, list(lost)
        names = sorted({ref.partition("@")[0] for ref in lost.values()} - damaged)
        return entries, [*errors, *(_of_lost(name, lost, self.folder) for name in names)], list(lost)

    def claim(self, version: Version) -> bool:
        """Record in the run that made a version that it was registered; whether it was not recorded yet."""
        run = None if version.record["files"] is None else run_of_output(path_of(version.record, self.workspace.root))
        return run is not None and run.workspace == self.workspace.root and claim(run, version.ref)

    def version(self, ref: str) -> Version:
        """`name@3`, `name@latest`, `name@production`, `name@TAG`; a name alone is its latest version."""
        name, selector = split_reference(ref)
        return self.entry(name).version(selector)

    def references(self) -> dict[str, str]:
        """Every reference that names one version, and its kind."""
        found: dict[str, str] = {}
        for entry in self.entries()[0]:
            for version in entry.live.values():
                stages = [other.stage for other in entry.live.values()]
                alone = [version.stage] if stages.count(version.stage) == 1 else []
                for selector in (str(version.number), "latest", *alone, *version.tags):
                    found[f"{entry.name}@{selector}"] = version.kind
        return found

    def refuse(self, name: str, kind: str) -> None:
        """Refuse what could not be registered under a name: call it before the artifact is made.

        Errors: AskError `ask.wrong-kind`, `ask.wrong-value`; RunError `run.broken-record`.
        """
        refuse_similar(name, self.names())
        if name in self.names():
            refuse_other_kind(self.entry(name), kind)

    @contextlib.contextmanager
    def changing(self, name: str, *, new: bool = False) -> Generator[Draft]:
        """Hold the lock of a name. With `new` the name need not exist.

        Errors: AskError `ask.bad-reference` for an unknown name, `ask.wrong-value` for one that differs from another in
        case only; RunError `run.busy` if another process holds the lock for long.
        """
        check_name(name)
        if not new:
            self.entry(name)
        with self.locked(name):
            refuse_similar(name, self.names())
            folder = self.folder / name
            if not is_there(folder):
                folder.mkdir()
            yield Draft(folder, read_entry(folder))

    @contextlib.contextmanager
    def locked(self, name: str, doing: str = "") -> Generator[None]:
        """Hold the lock of a name. RunError `run.busy` if another process holds it for long."""
        if is_there(self.folder) and (fault := no_folder(self.folder)) is not None:
            raise fault
        locks = self.folder / ".locks"
        locks.mkdir(parents=True, exist_ok=True)
        with held(locks / f"{name.lower()}.lock", doing or f"changing {name}"):
            yield

    def keeping(self) -> AbstractContextManager[None]:
        """While it is held, no version is added by another process, and `burnish gc` takes no folder away."""
        return self.locked(_GC, "adding a version or collecting garbage")

    def register(
        self,
        name: str,
        record: Mapping[str, Any],
        who: str,
        why: str = "",
        *,
        unusable: Container[int] = (),
        **details: Any,
    ) -> tuple[Version, bool, list[str]]:
        """Register a record as the next version, and True; the version of that artifact if there is one, and False.

        The last are the files that could not be written.
        Versions in `unusable`, whose artifacts are damaged, do not count. Errors: AskError `ask.wrong-kind` for a name
        that holds the other kind; RunError `run.damaged-artifact` for one that `burnish gc` removed meanwhile; those of
        `changing`.
        """
        with self.changing(name, new=True) as draft:
            refuse_other_kind(draft.entry, record["kind"])
            identity = record["fingerprint"], record["digest"]
            for number, version in draft.entry.live.items():
                if (version.fingerprint, version.record["digest"]) == identity and number not in unusable:
                    with self.keeping():
                        self.claim(version)
                    return version, False, []
            with self.keeping():
                _refuse_removed(record, self.workspace.root)
                version = draft.change("register", draft.next_number, who, why, record=dict(record), **details)
                self.claim(version)
                return version, True, draft.faults


def _of_lost(name: str, lost: Mapping[Run, str], folder: Path) -> RunError:
    """The error of a name of which runs say that they were registered, and the registry knows nothing."""
    runs = [run for run, ref in lost.items() if ref.partition("@")[0] == name]
    shown = ", ".join(f"{run.name} as {lost[run]}" for run in runs[:_MOST_SHOWN])
    more = f", and {len(runs) - _MOST_SHOWN} more" if len(runs) > _MOST_SHOWN else ""
    group = "models"
    with contextlib.suppress(BurnishError):
        artifact = runs[0].artifact()
        group = f"{artifact.kind}s" if artifact is not None else group
    again = f"burnish {group} register {runs[0].reference} --name {name}"
    fix = f"restore the folder from a copy, or register each again ({again}), and remove what is not needed"
    return RunError("run.broken-record", f"{folder} has lost versions of {name}: registered were {shown}{more}", fix)


def _refuse_removed(record: Mapping[str, Any], workspace: Path) -> None:
    path = path_of(record, workspace)
    if record["files"] is not None and not path.is_dir():
        what = f"the artifact at {path} was removed meanwhile"
        raise RunError("run.damaged-artifact", what, "run its recipe again, and register the result")


def refuse_similar(name: str, names: Iterable[str]) -> None:
    """AskError `ask.wrong-value` for a name that a file system without case takes for another."""
    for other in names:
        if other.lower() == name.lower() and other != name:
            what = f"'{name}' and '{other}', which exists, differ in case only"
            raise AskError("ask.wrong-value", what, f"use {other}, or another name")


def refuse_other_kind(entry: Entry, kind: str) -> None:
    """AskError `ask.wrong-kind` if the versions of a name are of another kind."""
    if entry.kind not in ("", kind):
        raise AskError(
            "ask.wrong-kind",
            f"'{entry.name}' holds {entry.kind}s, and this is {with_article(kind)}",
            "use another name: a name holds one kind",
        )
