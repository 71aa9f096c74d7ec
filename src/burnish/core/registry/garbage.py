"""Find runs that nothing refers to: no version of the registry, no newest run, no artifact made from them.

What is kept: every artifact in the registry and the evidence for it; the steps of the newest run of each recipe, and
the newest artifact of each step, which `@latest` names; everything that is in progress; and all that those were made
from.
"""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from burnish.core.context import Input, walk
from burnish.core.errors import BurnishError
from burnish.core.registry.archive import IMPORT
from burnish.core.registry.description import path_of
from burnish.core.registry.evidence import gather
from burnish.core.registry.registry import Registry
from burnish.core.runs.checkpoints import KeptCheckpoint
from burnish.core.runs.run import Run, is_held, run_of_output
from burnish.core.runs.submitted import is_in_progress
from burnish.core.runs.workspace import QUEUE, Workspace


@dataclass(frozen=True)
class Garbage:
    """A step's folder that nothing refers to."""

    run: str
    folder: Path
    kind: str
    state: str
    bytes: int
    files: int

    def as_dict(self) -> dict[str, Any]:
        return {"run": self.run, "kind": self.kind, "state": self.state, "bytes": self.bytes, "files": self.files}


@dataclass
class Search:
    """What was found. With `doubts`, records that may refer to something cannot be read: nothing is safe to remove."""

    garbage: list[Garbage] = field(default_factory=list[Garbage])
    kept: int = 0
    doubts: list[str] = field(default_factory=list[str])
    state: frozenset[tuple[str, int, int, int]] = frozenset()
    """That of the workspace when the search began (see `state_of`)."""


def find_garbage(workspace: Workspace) -> Search:
    """Search all run folders of a workspace; the largest first."""
    search = Search(state=state_of(workspace))
    folders = {run.name: run for run in _all_folders(workspace)}
    needed: set[str] = set()
    for name in (*_in_registry(workspace, search), *_newest(workspace, search), *_in_progress(folders, workspace)):
        _keep(name, folders, workspace, needed, search)
    for name, run in folders.items():
        if name not in needed:
            search.garbage.append(_described(run))
    search.kept = len(folders) - len(search.garbage)
    search.garbage.sort(key=lambda one: one.bytes, reverse=True)
    return search


def state_of(workspace: Workspace) -> frozenset[tuple[str, int, int, int]]:
    """The histories of the registry and the plans of all runs: if one changes, a search may be out of date."""
    found: set[tuple[str, int, int, int]] = set()
    for file in (*workspace.root.glob("registry/*/history.jsonl"), *workspace.runs.glob("*/*/plan.json")):
        with contextlib.suppress(FileNotFoundError):
            status = file.stat()
            found.add((str(file), status.st_ino, status.st_size, status.st_mtime_ns))
    return frozenset(found)


def _is_in_progress(run: Run, workspace: Workspace) -> bool:
    """Whether a worker or the process of its whole run holds a folder."""
    recipe, number, _ = run.name.split("/")
    lock = workspace.lock_of(recipe, int(number))
    return is_held(lock) or (run.folder / "run.lock").is_dir() or is_held(run.lock())


def _has_steps_to_run(workspace: Workspace, recipe: str, number: int, search: Search) -> bool:
    """Whether a run is in progress, or waits in the queue; a record of it that cannot be read is a doubt."""
    try:
        return is_in_progress(workspace, recipe, number)
    except BurnishError as error:
        search.doubts.append(error.what)
        return True


def _all_folders(workspace: Workspace) -> Iterator[Run]:
    for recipe in workspace.recipes():
        for number in workspace.numbers(recipe):
            for folder in sorted((workspace.runs / recipe / str(number)).iterdir()):
                if folder.is_dir() and not folder.is_symlink() and folder.name != QUEUE:
                    yield Run(folder)


def _in_registry(workspace: Workspace, search: Search) -> Iterator[str]:
    """Artifacts in the registry, and their evidence."""
    entries, errors, lost = Registry(workspace).survey()
    search.doubts += [error.what for error in errors]
    yield from (run.name for run in lost)
    for entry in entries:
        for version in entry.live.values():
            run = run_of_output(path_of(version.record, workspace.root))
            if version.record["files"] is not None and run is not None and run.workspace == workspace.root:
                yield run.name
            yield from (one.run for one in gather(version.record, workspace).evidence)


def _newest(workspace: Workspace, search: Search) -> Iterator[str]:
    """The steps of the newest run of each recipe, of runs in progress, and the newest artifact of each step."""
    for recipe in workspace.recipes():
        seen: set[str] = set()
        for place, number in enumerate(workspace.numbers(recipe)):
            try:
                steps = workspace.steps_of(recipe, number)
            except BurnishError as error:
                search.doubts.append(error.what)
                continue
            is_running = _has_steps_to_run(workspace, recipe, number, search)
            if is_running:
                yield from _pinned(workspace, recipe, number)
            for step, run in steps.items():
                has_one = (run.folder / "artifact.json").is_file()
                if _is_import(run):
                    continue  # only the registry refers to it
                if place == 0 or is_running or (has_one and step not in seen):
                    yield run.name
                if has_one:
                    seen.add(step)


def _pinned(workspace: Workspace, recipe: str, number: int) -> Iterator[str]:
    """The runs whose artifacts the steps of a run read, also those of steps that have not started."""
    for step in workspace.plan_of(recipe, number)["steps"]:
        yield from map(str, step.get("pinned", {}).values())


def _is_import(run: Run) -> bool:
    try:
        return run.record["stage"] == IMPORT
    except BurnishError:
        return False


def _in_progress(folders: Mapping[str, Run], workspace: Workspace) -> Iterator[str]:
    yield from (name for name, run in folders.items() if _is_in_progress(run, workspace))


def _keep(name: str, folders: Mapping[str, Run], workspace: Workspace, needed: set[str], search: Search) -> None:
    """Keep a run, and all that it was made from."""
    run = folders.get(name)
    if run is None or name in needed:
        return
    needed.add(name)
    try:
        artifact = run.artifact()
        inputs = artifact.inputs if artifact is not None else _of_job(run, workspace)
    except BurnishError as error:
        search.doubts.append(error.what)
        return
    for value in walk(inputs):
        checkpoint = KeptCheckpoint.at(value.path)
        below = run_of_output(value.path) if checkpoint is None else checkpoint.run
        if below is not None and below.workspace == workspace.root:
            _keep(below.name, folders, workspace, needed, search)


def _of_job(run: Run, workspace: Workspace) -> Mapping[str, Input]:
    """The inputs of a step that is not finished."""
    if not (run.folder / "job.json").is_file():
        return {}
    return {name: Input.from_json(value, workspace.root) for name, value in run.record_of("job.json")["inputs"].items()}


def _described(run: Run) -> Garbage:
    kind, state = "", "damaged"
    try:
        state = run.state
        artifact = run.artifact()
        kind = artifact.kind if artifact is not None else ""
    except BurnishError:
        pass
    sizes = [path.lstat().st_size for path in run.folder.rglob("*") if path.is_file() or path.is_symlink()]
    return Garbage(run.name, run.folder, kind, state, sum(sizes), len(sizes))
