"""One run as a page shows it: its plan, each step with what is known of it, also of those that have not started."""

from pathlib import Path
from typing import Any

from burnish.core.errors import BurnishError
from burnish.core.runs.records import is_there
from burnish.core.runs.run import Run
from burnish.core.runs.submitted import is_in_progress
from burnish.core.runs.workspace import Workspace
from burnish.studio.runs import show_step
from burnish.studio.views.following import Follower

_WORST_FIRST = ("damaged", "failed", "killed", "interrupted")


def run_detail(recipe: str, number: int, *, workspace: Path | str | None = None) -> dict[str, Any]:
    """`run`, `recipe`, `number`, `state`, `created`, `values`, `notes`, `warnings`, `cursor` and `steps`.

    Each step has what was planned (`step`, `stage`, `action`, `why`), its `run`, and `shown`: what `show` gives of it,
    None before it starts, or if its records are damaged: then `problem` says so. `cursor` is where its events are
    followed from (see `Follower`). Errors: AskError `ask.no-such-run`.
    """
    place = Workspace.find(workspace)
    follower = Follower(recipe, number, workspace=place.root)
    follower.go_to_end()  # before the records are read: what is written meanwhile is followed
    plan = place.plan_of(recipe, number)
    steps = [_step(planned, Run(place.runs / planned["folder"])) for planned in plan["steps"]]
    return {
        "run": f"{recipe}/{number}",
        "recipe": recipe,
        "number": number,
        "state": _state(steps, in_progress=is_in_progress(place, recipe, number)),
        "created": plan.get("created"),
        "values": plan.get("values", {}),
        "notes": plan.get("notes", []),
        "warnings": plan.get("warnings", []),
        "cursor": follower.cursor,
        "steps": steps,
    }


def _step(planned: dict[str, Any], run: Run) -> dict[str, Any]:
    shown, problem = None, None
    if is_there(run.folder / "run.json"):
        try:
            shown = show_step(run)
        except BurnishError as error:
            problem = error.as_dict()
    return {
        "step": planned["step"],
        "stage": planned.get("stage"),
        "action": planned.get("action"),
        "why": planned.get("reason", ""),
        "run": run.name,
        "state": shown["state"] if shown else "damaged" if problem else "planned",
        "shown": shown,
        "problem": problem,
    }


def _state(steps: list[dict[str, Any]], *, in_progress: bool) -> str:
    """The state of the whole run; `queued` until its first step starts."""
    states = [step["state"] for step in steps]
    if in_progress:
        own = [step["state"] for step in steps if step["action"] != "reuse"]
        return "running" if set(own) - {"planned"} else "queued"
    if "running" in states:  # a worker whose parent is gone
        return "running"
    if all(state == "succeeded" for state in states):
        return "succeeded"
    return next((state for state in _WORST_FIRST if state in states), "interrupted")
