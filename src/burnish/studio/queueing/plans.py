"""The plan of a submitted run, as it is recorded and as a worker finds it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from burnish.core.context import Input
from burnish.core.plan import Plan, PlannedStep
from burnish.core.recipes.recipe import Recipe, recipe_of
from burnish.core.runs.records import is_there
from burnish.core.runs.run import Run
from burnish.core.runs.submitted import SubmittedRun
from burnish.core.runs.workspace import Workspace


def recorded(plan: Plan, jobs: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The steps of a plan for `SubmittedRun.write`; `jobs` are what their workers get."""
    return [
        {
            "step": step.step.name,
            "stage": step.step.stage.name,
            "action": step.action,
            "reason": step.reason,
            "needs": _needs_of(step),
            "job": jobs[step.step.name],
        }
        for step in plan.steps
    ]


def _needs_of(step: PlannedStep) -> list[str]:
    """The steps whose artifacts a step takes."""
    return list(dict.fromkeys(ref[5:] for ref, _ in step.step.references().values() if ref.startswith("step:")))


def submitted_plan(workspace: Workspace, recipe: str, number: int) -> Plan:
    """The plan as it was submitted, with the run folders as they are now.

    Errors: AskError `ask.no-such-run`, RunError `run.broken-record`.
    """
    record = SubmittedRun(workspace, recipe, number).record
    made, folders = recipe_of(record["values"]), workspace.steps_of(recipe, number)
    steps = tuple(
        _planned(step, made, folders[step["step"]], workspace.run(recipe, number, step["step"]))
        for step in record["steps"]
    )
    return Plan(replace(made, steps=tuple(step.step for step in steps)), steps, free_bytes=0)


def _planned(record: Mapping[str, Any], recipe: Recipe, run: Run, own: Run) -> PlannedStep:
    """One step; one that a worker has begun in this run's `own` folder, and has lost since, is resumed there."""
    step, job, action = recipe.step(record["step"]), record["job"], record["action"]
    if action == "run" and is_there(own.folder / "run.json"):
        action, run = "reuse" if is_there(own.folder / "artifact.json") else "resume", own
    return PlannedStep(
        replace(step, spec=step.stage.spec_type().model_validate(job["spec"])),
        action,
        record["reason"],
        job["fingerprint"],
        {path: Input.from_json(value, own.workspace) for path, value in job["inputs"].items()},
        run,
    )
