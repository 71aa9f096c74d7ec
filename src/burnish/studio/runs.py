"""List, show, follow, compare, stop and resume runs."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from burnish.core.errors import AskError, BurnishError, RunError
from burnish.core.events import Event
from burnish.core.fingerprint import differences, flattened
from burnish.core.plan import make_plan
from burnish.core.recipes.recipe import recipe_of
from burnish.core.runs.run import Run, is_held
from burnish.core.runs.submitted import SubmittedRun, is_in_progress
from burnish.core.runs.workspace import Workspace
from burnish.jobs.identity import ProcessIdentity
from burnish.jobs.index.entry import entry_from
from burnish.studio.executing.results import RunResult, Watcher
from burnish.studio.executing.stopping import interruptible_planning, request_stop
from burnish.studio.listing.pages import newest_first
from burnish.studio.listing.snapshots import steps_of
from burnish.studio.proving import read_proof
from burnish.studio.running import execute


def runs(*, workspace: Path | str | None = None) -> list[dict[str, Any]]:
    """One row per step that was run, newest first: name, stage, state, seconds, measures.

    A run with an unreadable record has the state `damaged`, and the error as reason. Raises AskError `ask.no-such-run`
    if the workspace does not exist.
    """
    place = Workspace.find(workspace)
    place.refuse_missing()
    return [entry.row() for entry in newest_first(steps_of(place))]


def show(name: str = "latest", *, workspace: Path | str | None = None) -> list[dict[str, Any]]:
    """Each step of a run: row, settings, inputs, chosen values, notes, error, path, checks, certificate, provenance."""
    return [show_step(run) for run in Workspace.find(workspace).find_runs(name)]


def show_step(run: Run) -> dict[str, Any]:
    """One step of a run, as `show` gives it. Errors: RunError `run.broken-record`."""
    run.refuse_misplaced_logs()
    record, artifact = run.record, run.artifact()
    checks, unread = _checks(artifact.path) if artifact else ([], [])
    events = list(run.events.of_kinds("chosen", "note"))
    return {
        **entry_from(run, record, artifact).row(),
        "folder": str(run.folder),
        "settings": run.record_of("spec.json"),
        "inputs": {path: value["ref"] for path, value in run.job["inputs"].items()},
        "chosen": [{"field": e.field, "value": e.value, "reason": e.reason} for e in events if e.kind == "chosen"],
        "notes": [*(e.text for e in events if e.kind == "note"), *unread],
        "error": record.get("error"),
        "path": str(artifact.path) if artifact else None,
        "checks": checks,
        "certificate": artifact.certificate if artifact else None,
        "provenance": dict(artifact.provenance) if artifact else {},
    }


def _checks(folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """The checks in the `proof.json` of an artifact, if it has one; or a note that it is damaged."""
    try:
        return read_proof(folder)["checks"], []
    except FileNotFoundError:
        return [], []
    except RunError as error:
        return [], [error.what]


def tail(
    name: str = "latest", *, follow: bool = False, workspace: Path | str | None = None
) -> Iterator[tuple[str, Event]]:
    """(run name, event) of every step; with `follow`, until the run ends."""
    offsets: dict[str, int] = {}
    place = Workspace.find(workspace)
    number = place.number_of(name)
    while True:
        found = place.find_runs(name)
        alive = follow and (is_in_progress(place, *number) or any(run.is_alive() for run in found))
        for run in found:
            for event, offset in run.events.read(offsets.get(run.name, 0)):
                offsets[run.name] = offset
                yield run.name, event
        if not alive:
            return
        time.sleep(0.2)


def diff(one: str, other: str, *, workspace: Path | str | None = None) -> dict[str, Any]:
    """The differences between two runs, step by step: settings, contents of inputs, measures."""
    place = Workspace.find(workspace)
    sides = [{run.folder.name: run for run in place.find_runs(name)} for name in (one, other)]
    if all(len(side) == 1 for side in sides):  # compare two single steps by any names
        sides = [{"": next(iter(side.values()))} for side in sides]
    names = list(dict.fromkeys([*sides[0], *sides[1]]))
    steps: dict[str, Any] = {}
    for name in names:
        a, b = (side.get(name) for side in sides)
        if a is None or b is None:
            steps[name] = {"only_in": one if b is None else other}
            continue
        steps[name] = {
            "settings": differences(*(flattened(settings) for settings in _settings_of(a, b))),
            "inputs": differences(_fingerprints(a), _fingerprints(b)),
            "metrics": differences(_measures(a), _measures(b)),
        }
    return {"runs": [one, other], "steps": steps}


def stop(name: str = "latest", *, workspace: Path | str | None = None) -> list[str]:
    """Stop a run after it saves its state; a second request stops it at once. Returns the names of the stopped runs.

    The request is for the whole run. If another run does a step of this one, that run is stopped.
    """
    place = Workspace.find(workspace)
    recipe, number = place.number_of(name)
    if number not in place.numbers(recipe):
        place.find_runs(name)  # raises
    if SubmittedRun(place, recipe, number).exists() and (asked := _stop_submitted(place, recipe, number)):
        return [asked]
    if is_held(place.lock_of(recipe, number)):
        request_stop(place.stop_file(recipe, number))
        return [f"{recipe}/{number}"]
    requested: list[str] = []
    wanted = name.strip("/").split("/")[2:]
    for step, run in place.steps_of(recipe, number).items():
        if (wanted and step not in wanted) or not run.folder.is_dir() or not run.is_alive():
            continue
        driver = _driver(run, place)
        if driver is not None:
            request_stop(place.stop_file(*driver))
            requested.append(f"{driver[0]}/{driver[1]}")
        else:  # its parent is gone, its worker still runs
            _signal_worker(run)
            requested.append(run.name)
    if not requested:
        others = [
            f"{recipe}/{number}"
            for recipe in place.recipes()
            for number in place.numbers(recipe)
            if is_in_progress(place, recipe, number)
        ]
        fix = f"in progress: {', '.join(others)}" if others else "none is; see `burnish runs list`"
        raise AskError("ask.nothing-to-do", f"run '{name}' is not in progress", fix)
    return requested


def _signal_worker(run: Run) -> None:
    """Tell the worker of a run to save its state and end. Another process may have got its number since, or it runs on
    another machine: RunError `run.busy`."""
    process = ProcessIdentity(**run.record["process"]) if run.record.get("process") else None
    if process is None or not process.signal(signal.SIGTERM):
        where = "a process that is not known" if process is None else f"process {process.pid} of {process.host}"
        what = f"run {run.name} is in progress in {where}, which cannot be told from here to stop"
        raise RunError("run.busy", what, "end it there (SIGTERM saves its state), or wait for it")


def _stop_submitted(place: Workspace, recipe: str, number: int) -> str:
    """Stop a run of the queue; its name, or nothing if no step of it waits or runs.

    The file alone stops a step, wherever it runs; the database is for those that wait.
    """
    from burnish.studio.queueing.jobs import cancel_run  # SQLAlchemy is installed where runs are submitted

    alive = any(run.is_alive() for run in place.steps_of(recipe, number).values() if run.folder.is_dir())
    if not alive and not SubmittedRun(place, recipe, number).is_unfinished():
        return ""
    try:
        cancel_run(f"{recipe}/{number}", workspace=place.root)
    except BurnishError:
        request_stop(place.stop_file(recipe, number))
        if not alive:
            raise
    return f"{recipe}/{number}"


def _driver(run: Run, place: Workspace) -> tuple[str, int] | None:
    """Recipe and number of the run in progress that does this step; its folder may be that of an older run."""
    for recipe in place.recipes():
        for number in place.numbers(recipe):
            try:
                steps = place.plan_of(recipe, number)["steps"]
            except BurnishError:  # a run in progress has a readable plan
                continue
            does = any(step["folder"] == run.name and step.get("action") in ("run", "resume") for step in steps)
            if does and is_in_progress(place, recipe, number):
                return recipe, number
    return None


def resume(name: str = "latest", *, workspace: Path | str | None = None, watcher: Watcher | None = None) -> RunResult:
    """Run the recipe of a run again: finished steps are reused, a stopped one resumes from its checkpoint."""
    place = Workspace.find(workspace)
    plan = place.plan_of(*place.number_of(name), resumable=True)
    only = [step["step"] for step in plan["steps"]]
    with interruptible_planning():
        made = make_plan(recipe_of(plan["values"]), place, only=only)
    return execute(made, place, watcher)


def _settings_of(a: Run, b: Run) -> list[dict[str, Any]]:
    """All settings if both runs have finished, else the settings given to each."""
    made = [run.artifact() for run in (a, b)]
    whole = [dict(artifact.spec) for artifact in made if artifact is not None]
    return whole if len(whole) == 2 else [run.record_of("spec.json") for run in (a, b)]


def _fingerprints(run: Run) -> dict[str, Any]:
    """Of the recipe, and for an artifact also of its files."""
    found = {path: (value["fingerprint"], value.get("digest", "")) for path, value in run.job["inputs"].items()}
    return {path: " ".join(part[:12] for part in parts if part) for path, parts in found.items()}


def _measures(run: Run) -> dict[str, Any]:
    artifact = run.artifact()
    return dict(artifact.measures) if artifact else {}
