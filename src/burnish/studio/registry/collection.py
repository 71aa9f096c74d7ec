"""Show and remove runs that nothing refers to."""

import contextlib
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

from filelock import Timeout

from burnish.core.errors import BurnishError, RunError
from burnish.core.registry.garbage import Garbage, Search, find_garbage, state_of
from burnish.core.registry.registry import Registry
from burnish.core.runs.run import Run, is_held
from burnish.core.runs.workspace import QUEUE, Workspace
from burnish.studio.registry.versions import Notes

_SEARCHES = 3


def gc(
    *,
    delete: bool = False,
    only: Collection[str] | None = None,
    workspace: Path | str | None = None,
    say: Notes = lambda _: None,
) -> dict[str, Any]:
    """Runs that nothing refers to, with their sizes; `delete` removes them. What is in progress stays.

    With `only` all others stay too, as where a user agreed to a list that was shown.

    Errors: with `delete` RunError `run.broken-record`, if damaged records may refer to something, and `run.busy`, if
    other processes change the registry or start runs all the time.
    """
    place = Workspace.find(workspace)
    place.refuse_missing()
    found, removed = _removed(place, only, say) if delete else (_found(place, only), [])
    for doubt in found.doubts:
        say(doubt)
    return {
        "garbage": [one.as_dict() for one in found.garbage],
        "bytes": sum(one.bytes for one in found.garbage),
        "kept": found.kept,
        "removed": [one.run for one in removed],
        "freed_bytes": sum(one.bytes for one in removed),
    }


def _found(place: Workspace, only: Collection[str] | None) -> Search:
    search = find_garbage(place)
    if only is not None:
        search.garbage = [one for one in search.garbage if one.run in only]
    return search


def _removed(place: Workspace, only: Collection[str] | None, say: Notes) -> tuple[Search, list[Garbage]]:
    """Search, and remove what was found, unless something refers to it since: then search again."""
    for _ in range(_SEARCHES):
        found = _found(place, only)
        if found.doubts:
            what = f"nothing is removed, since records that may refer to it are damaged: {'; '.join(found.doubts)}"
            raise RunError("run.broken-record", what, "see `burnish doctor`, and repair the registry: burnish reindex")
        with Registry(place).keeping():
            hidden = _hide(found, place, say) if state_of(place) == found.state else None
        if hidden is not None:
            break
    else:
        what = f"the registry or the runs changed during each of {_SEARCHES} searches: nothing is removed"
        raise RunError("run.busy", what, "repeat it when fewer runs start")
    for one, folder in hidden:
        shutil.rmtree(folder)
        recipe, number, _ = one.run.split("/")
        _remove_run(place, recipe, int(number))
    return found, [one for one, _ in hidden]


def _hide(found: Search, place: Workspace, say: Notes) -> list[tuple[Garbage, Path]]:
    """Rename each folder, unless a process holds it, so that no reader meets half of it."""
    hidden: list[tuple[Garbage, Path]] = []
    for one in found.garbage:
        run = Run(one.folder)
        recipe, number, _ = one.run.split("/")
        lock = place.lock_of(recipe, int(number))
        try:
            lock.acquire(blocking=False)
        except Timeout:
            say(f"{one.run} is in use, and is kept")
            continue
        try:
            if is_held(run.lock()):
                say(f"{one.run} is in use, and is kept")
                continue
            hidden.append((one, one.folder.rename(one.folder.with_name(f".{one.folder.name}.removed"))))
        finally:
            lock.release()
    return hidden


def _remove_run(place: Workspace, recipe: str, number: int) -> None:
    """Remove the folder of a run whose plan leads to no step any more; the newest stays, since its number is taken."""
    if number == place.numbers(recipe)[0]:
        return
    folder = place.runs / recipe / str(number)
    with contextlib.suppress(BurnishError):
        has_steps = any(path.is_dir() and path.name != QUEUE for path in folder.iterdir())
        if not has_steps and not any(run.folder.is_dir() for run in place.steps_of(recipe, number).values()):
            shutil.rmtree(folder)
