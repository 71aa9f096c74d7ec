"""Run a recipe: reuse finished steps, run the others in worker processes, and report to a watcher."""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from burnish.core.plan import Plan, make_plan
from burnish.core.runs.workspace import Workspace
from burnish.jobs.launchers.choice import launcher_at
from burnish.jobs.launchers.protocol import Launcher
from burnish.studio.executing.execution import Execution
from burnish.studio.executing.results import RunResult, SilentWatcher, StepResult, Watcher
from burnish.studio.executing.stopping import StopRequests, interruptible_planning
from burnish.studio.planning import RecipeLike, as_recipe, stage_recipe


def run(
    recipe: RecipeLike | Iterable[str | Path],
    *,
    settings: Iterable[str] = (),
    workspace: Path | str | None = None,
    start: str | None = None,
    force: Collection[str] = (),
    only: Iterable[str] = (),
    watcher: Watcher | None = None,
    on: str | None = None,
) -> RunResult:
    """Run a recipe and return its artifacts; finished steps are reused. Raises the BurnishError of a failed step.

    `settings` are `step.field=value`. `start` reruns a step and all that depend on it, `force` reruns the named steps
    ("*" for all), `only` runs the named steps and their inputs. `on` is the address of a Ray cluster whose machines run
    the steps, instead of this one.
    """
    place = Workspace.find(workspace)
    with interruptible_planning():
        plan = make_plan(as_recipe(recipe, settings), place, start=start, force=force, only=only)
    return execute(plan, place, watcher, launcher_at(on))


def run_stage(
    name: str,
    *,
    files: Iterable[str | Path] = (),
    settings: Iterable[str] = (),
    workspace: Path | str | None = None,
    force: bool = False,
    watcher: Watcher | None = None,
    **values: Any,
) -> StepResult:
    """Run a single stage: `run_stage("sft", base="builtin:pocket", data="file:rows.jsonl")`."""
    place = Workspace.find(workspace)
    with interruptible_planning():
        plan = make_plan(stage_recipe(name, files, settings, values), place, force=("*",) if force else ())
    return execute(plan, place, watcher)[name]


def execute(
    plan: Plan, workspace: Workspace, watcher: Watcher | None = None, launcher: Launcher | None = None
) -> RunResult:
    """Run the steps of a plan, each in a worker process; `launcher` starts them, by default on this machine.

    If several processes want the same step, one runs it and the others wait for its result.
    """
    number = workspace.claim_number(plan.recipe.name)
    with (
        workspace.lock_of(plan.recipe.name, number),
        StopRequests(workspace.stop_file(plan.recipe.name, number)) as stops,
    ):
        return Execution(plan, number, workspace, watcher or SilentWatcher(), stops, launcher).run()
