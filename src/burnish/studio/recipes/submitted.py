"""Submit what a client gives to the queue, and resume a run there, whoever began it."""

from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from burnish.core.errors import AskError, RunError
from burnish.core.plan import make_plan
from burnish.core.recipes.recipe import recipe_of
from burnish.core.runs.run import is_held
from burnish.core.runs.submitted import Options, SubmittedRun
from burnish.core.runs.workspace import Workspace
from burnish.studio.queueing.jobs import jobs, resume_run
from burnish.studio.queueing.submitting import Submission, queue_plan
from burnish.studio.recipes.given import Given, refuse_outside


def submit_given(
    given: Given,
    options: Options | None = None,
    *,
    start: str | None = None,
    force: Collection[str] = (),
    only: Iterable[str] = (),
    workspace: Path | str | None = None,
    allowed: Iterable[Path] = (),
    describe: Callable[[SubmittedRun], None] | None = None,
) -> Submission:
    """Plan what is given, and queue its steps. `describe` is that of `queue_plan`.

    Errors: those of a plan, and of the database.
    """
    place = Workspace.find(workspace)
    recipe = given.recipe(workspace=place.root, allowed=allowed)
    return queue_plan(make_plan(recipe, place, start=start, force=force, only=only), place, options, describe=describe)


def resume_in_queue(
    recipe: str, number: int, *, workspace: Path | str | None = None, allowed: Iterable[Path] = ()
) -> Submission:
    """Queue a run again: the steps of a submitted run that failed or were cancelled; of another, its recipe as a new
    run, which reuses what has finished.

    Errors: AskError `ask.no-such-run`, `ask.nothing-to-do`; RunError `run.busy` if a process executes it.
    """
    place = Workspace.find(workspace)
    recipe, number = place.number_of(f"{recipe}/{number}")
    name, plan = f"{recipe}/{number}", place.plan_of(recipe, number, resumable=True)
    if SubmittedRun(place, recipe, number).exists():
        resume_run(name, workspace=place.root)
        return Submission(name, tuple(jobs(run=name, workspace=place.root)))
    if is_held(place.lock_of(recipe, number)):
        raise RunError("run.busy", f"run {name} is in progress", f"stop it first: burnish runs stop {name}")
    steps = place.steps_of(recipe, number).values()
    if all(run.folder.is_dir() and run.artifact() is not None for run in steps):
        raise AskError("ask.nothing-to-do", f"run {name} has finished", "run its recipe again")
    made = recipe_of(plan["values"])
    refuse_outside(made, (place.root, *allowed), place)
    return queue_plan(make_plan(made, place, only=[step["step"] for step in plan["steps"]]), place)
