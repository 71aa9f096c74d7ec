"""One run as a page shows it: its plan, each step with what is known of it, also of those that have not started."""

from pathlib import Path
from typing import Any

from burnish.core.errors import BurnishError
from burnish.core.runs.records import is_there
from burnish.core.runs.run import Run
from burnish.core.runs.submitted import SubmittedRun, is_in_progress
from burnish.core.runs.workspace import Workspace
from burnish.studio.listing.groups import Span, state_of, states_of_steps, time_of
from burnish.studio.runs import show_step
from burnish.studio.views.following import Follower


def run_detail(recipe: str, number: int, *, workspace: Path | str | None = None) -> dict[str, Any]:
    """`run`, `recipe`, `number`, `state`, `stop_requested`, `created`, `seconds`, `waited` (see `time_of`), `values`,
    `notes`, `warnings`, `cursor` and `steps`.

    Each step has what was planned (`step`, `stage`, `action`, `why`), its `run`, and `shown`: what `show` gives of it,
    None before it starts, or if its records are damaged: then `problem` says so. `cursor` is where its events are
    followed from (see `Follower`). `stop_requested`: another request ends what runs at once. Errors: AskError
    `ask.no-such-run`.
    """
    place = Workspace.find(workspace)
    follower = Follower(recipe, number, workspace=place.root)
    follower.go_to_end()  # before the records are read: what is written meanwhile is followed
    plan = place.plan_of(recipe, number)
    folders = place.steps_in(plan)
    steps = [_step(planned, folders[planned["step"]]) for planned in plan["steps"]]
    in_progress = is_in_progress(place, recipe, number)
    jobs = SubmittedRun(place, recipe, number).jobs()
    known = [(one["action"], one["state"], jobs.get(one["step"], (None, ""))[0]) for one in steps]
    for step, state in zip(steps, states_of_steps(known, in_progress=in_progress), strict=True):
        step["state"] = state
    spans = [span for one in steps if one["action"] != "reuse" and (span := _span(one, folders[one["step"]]))]
    return {
        "run": f"{recipe}/{number}",
        "recipe": recipe,
        "number": number,
        "state": state_of([(step["action"], step["state"]) for step in steps], in_progress=in_progress),
        "stop_requested": place.is_stopped(recipe, number) or _is_job_stopping(place, recipe, number),
        "created": plan.get("created"),
        **time_of(plan.get("created") or 0.0, spans, in_progress=in_progress),
        "values": plan.get("values", {}),
        "notes": plan.get("notes", []),
        "warnings": plan.get("warnings", []),
        "cursor": follower.cursor,
        "steps": steps,
    }


def _is_job_stopping(place: Workspace, recipe: str, number: int) -> bool:
    """Whether a running job of the run was requested to stop on its own."""
    if not SubmittedRun(place, recipe, number).is_unfinished():
        return False
    from burnish.studio.queueing.jobs import jobs  # SQLAlchemy is installed where runs are submitted

    try:
        return any(job.requested for job in jobs(run=f"{recipe}/{number}", workspace=place.root))
    except BurnishError:  # what is known of the run does not depend on the database
        return False


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
        "state": shown["state"] if shown else "damaged" if problem else None,  # without a folder
        "shown": shown,
        "problem": problem,
    }


def _span(step: dict[str, Any], run: Run) -> Span | None:
    """None for a step that has not started, or of which it is not known when it ended."""
    if step["shown"] is None:
        return None
    record = run.record
    started, ended = record.get("started"), record.get("ended")
    return (
        None
        if started is None or (ended is None and step["state"] != "running")
        else (started, ended, record["attempts"])
    )
