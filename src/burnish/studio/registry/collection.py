"""Show and remove runs that nothing refers to."""

import contextlib
import shutil
from pathlib import Path
from typing import Any

from filelock import Timeout

from burnish.core.errors import BurnishError, RunError
from burnish.core.registry.garbage import Garbage, Search, find_garbage
from burnish.core.runs.run import Run, is_held
from burnish.core.runs.workspace import Workspace
from burnish.studio.registry.versions import Notes


def gc(*, delete: bool = False, workspace: Path | str | None = None, say: Notes = lambda _: None) -> dict[str, Any]:
    """Runs that nothing refers to, with their sizes; `delete` removes them. What is in progress stays.

    Errors: RunError `run.broken-record` with `delete`, if damaged records may refer to something.
    """
    place = Workspace.find(workspace)
    place.refuse_missing()
    found = find_garbage(place)
    if delete and found.doubts:
        what = f"nothing is removed, since records that may refer to it are damaged: {'; '.join(found.doubts)}"
        raise RunError("run.broken-record", what, "see `burnish doctor`, and repair the registry: burnish reindex")
    for doubt in found.doubts:
        say(doubt)
    removed = _remove(found, place, say) if delete else []
    return {
        "garbage": [one.as_dict() for one in found.garbage],
        "bytes": sum(one.bytes for one in found.garbage),
        "kept": found.kept,
        "removed": [one.run for one in removed],
        "freed_bytes": sum(one.bytes for one in removed),
    }


def _remove(found: Search, place: Workspace, say: Notes) -> list[Garbage]:
    """Remove each folder, unless a process holds it."""
    removed: list[Garbage] = []
    for one in found.garbage:
        run = Run(one.folder)
        recipe, number, _ = one.run.split("/")
        lock = place.lock_of(recipe, int(number))
        try:
            lock.acquire(blocking=False)
        except Timeout:
            say(f"{one.run} is in use, and stays")
            continue
        try:
            if is_held(run.lock()):
                say(f"{one.run} is in use, and stays")
                continue
            hidden = one.folder.with_name(f".{one.folder.name}.removed")
            one.folder.rename(hidden)  # no reader meets half of it
            shutil.rmtree(hidden)
        finally:
            lock.release()
        removed.append(one)
        _remove_run(place, recipe, int(number))
    return removed


def _remove_run(place: Workspace, recipe: str, number: int) -> None:
    """Remove the folder of a run whose plan leads to no step any more; the newest stays, since its number is taken."""
    if number == place.numbers(recipe)[0]:
        return
    folder = place.runs / recipe / str(number)
    with contextlib.suppress(BurnishError):
        has_steps = any(path.is_dir() for path in folder.iterdir())
        if not has_steps and not any(run.folder.is_dir() for run in place.steps_of(recipe, number).values()):
            shutil.rmtree(folder)
