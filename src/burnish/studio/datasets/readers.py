"""Which run in progress, or in the queue, has a file among its inputs."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from burnish.core.context import Input, walk
from burnish.core.errors import BurnishError
from burnish.core.paths import of_reference
from burnish.core.runs.run import Run
from burnish.core.runs.submitted import SubmittedRun
from burnish.core.runs.workspace import Workspace
from burnish.studio.listing.groups import Group
from burnish.studio.listing.snapshots import runs_of

_MALFORMED = (BurnishError, OSError, KeyError, TypeError, ValueError, AttributeError)
"""What damaged records raise: no step can go on from those."""


def reader_of(file: Path, place: Workspace) -> str:
    """The name of a step that runs and has the file, or a folder around it, as an input; or of a run whose next steps
    have. "" if there is none.

    An input of an input counts too: a step that is resumed is planned again from all of them.
    """
    runs, folders = runs_of(place)
    around = {path for own in (file, file.resolve()) for path in (own, *own.parents)}
    for entry in folders.values():
        if entry.state == "running" and _meets(around, _inputs_of(Run(place.runs / entry.run), place)):
            return entry.run
    for run in runs.values():
        group = Group(run, folders)
        if group.state(place) in ("queued", "running"):
            left = group.unfinished()
            submitted = SubmittedRun(place, run.recipe, run.number)
            if _meets(around, _submitted(submitted, left, place)) or _meets(around, _planned(run.run, left, place)):
                return run.run
    return ""


def _meets(around: Collection[Path], paths: Iterator[Path]) -> bool:
    try:
        return any(path in around or path.resolve() in around for path in paths)
    except _MALFORMED:
        return False


def _inputs_of(run: Run, place: Workspace) -> Iterator[Path]:
    yield from _paths(run.job["inputs"], place)


def _submitted(run: SubmittedRun, left: Collection[str], place: Workspace) -> Iterator[Path]:
    """What the steps that are left take, as it was resolved when the run was submitted."""
    if run.exists():
        for step in run.record["steps"]:
            if step["step"] in left and run.end_of(step["step"]) is None:
                yield from _paths(step["job"]["inputs"], place)


def _planned(name: str, left: Collection[str], place: Workspace) -> Iterator[Path]:
    """The files that the steps that are left refer to, by the plan of the run."""
    recipe, number = name.split("/")
    for step in place.plan_of(recipe, int(number))["steps"]:
        if step["step"] in left:
            refs: Mapping[str, str] = step.get("inputs") or {}
            yield from (place.root / of_reference(ref[5:]) for ref in refs.values() if ref.startswith("file:"))


def _paths(inputs: Mapping[str, Any], place: Workspace) -> Iterator[Path]:
    """The paths of inputs, and of what they were made from. One that is fetched when its step starts has none yet."""
    for value in walk({field: Input.from_json(one, place.root) for field, one in inputs.items()}):
        if value.path != place.root or value.kind == "folder":
            yield value.path
