"""Train a step again without some of its rows, from the last checkpoint that had not seen them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burnish.core.context import Input
from burnish.core.errors import AskError, RunError
from burnish.core.inputs.reuse import other_files
from burnish.core.plan import Plan, make_plan
from burnish.core.recipes.recipe import recipe_of
from burnish.core.runs.run import Run
from burnish.core.runs.workspace import Workspace
from burnish.studio.executing.results import RunResult, Watcher
from burnish.studio.executing.stopping import interruptible_planning
from burnish.studio.rows import ledger_of, training_step
from burnish.studio.running import execute
from burnish.studio.workrooms import ask, require

_HERE = ("auto", "never")
"""Values of `resume` that name no checkpoint of another run."""


@dataclass(frozen=True)
class Replay:
    """A run without some rows: where it started, and why there."""

    result: RunResult
    step: str
    """The name of the training step."""
    checkpoint: Path | None
    """The checkpoint that it started from; None for the beginning."""
    first_visit: int
    """The step of the original run that first learned one of the rows."""
    reason: str


def replay(
    name: str = "latest",
    *,
    without: str | Sequence[str],
    step: str | None = None,
    workspace: Path | str | None = None,
    watcher: Watcher | None = None,
) -> Replay:
    """Train a step of a run again, without the rows with these ids, as a new run of its recipe.

    All other rows stay in their steps, so that the weights are those of a training that never had the rows. It starts
    from the newest valid checkpoint before their first visit, if checkpoints were kept (`checkpoint.archive`), else
    from the beginning. Only the training step is run; `burnish run` with the same settings runs what depends on it.

    Errors: AskError `ask.bad-reference` for a row that the step has not learned; RunError `run.input-changed` if the
    data or the base changed since; those of a run.
    """
    ids = [without] if isinstance(without, str) else list(dict.fromkeys(without))
    if not ids:
        raise AskError("ask.nothing-to-do", "no row is named", "name rows by id: --without ID")
    require("pyarrow", "data")
    place = Workspace.find(workspace)
    run = training_step(place.find_runs(name), name, step)
    ledger, notes = ledger_of(run, place.hashes())
    values = place.plan_of(*place.number_of(name), resumable=True)["values"]
    trained = run.folder.name
    earlier = values["steps"][trained].get("resume", "auto")
    request = {"ledger": str(ledger), "checkpoints": str(run.scratch / "checkpoints"), "without": ids}
    found = ask("burnish.stages.train.replay", {**request, "earlier": None if earlier in _HERE else earlier})
    checkpoint = None if found["checkpoint"] is None else Path(found["checkpoint"])
    if checkpoint is None and earlier not in _HERE:
        what = f"{run.name} was resumed from {earlier}, which has learned a row that is left out, or is damaged"
        fix = "replay the run of that checkpoint: its settings before may differ"
        raise AskError("ask.wrong-value", f"{what}; {found['reason']}", fix)
    with interruptible_planning():
        plan = make_plan(recipe_of(_without(values, trained, ids, checkpoint)), place, only=[trained])
    _refuse_other_inputs(plan, trained, run)
    reason = "; ".join([found["reason"], *notes])
    return Replay(execute(plan, place, watcher), trained, checkpoint, found["first_visit"], reason)


def _refuse_other_inputs(plan: Plan, trained: str, run: Run) -> None:
    """RunError `run.input-changed` where the step would read other contents than in the run."""
    before: Mapping[str, Any] = run.job["inputs"]  # an unfinished run has no artifact yet
    for step in plan.steps:
        if step.step.name != trained and step.action != "reuse":
            what = f"the step {step.step.name}, which {trained} reads, would be run again: {step.reason}"
            raise RunError("run.input-changed", what, "restore its inputs and its artifact")
        for field, value in step.inputs.items() if step.step.name == trained else ():
            known = Input.from_json(before[field], run.workspace) if field in before else None
            if known is not None and other_files({field: known}, {field: value}):
                what = f"{value.ref} ({field}) is not as it was when {run.name} read it"
                raise RunError("run.input-changed", what, "restore it: other rows would be learned")


def _without(values: dict[str, Any], step: str, ids: list[str], checkpoint: Path | None) -> dict[str, Any]:
    """The recipe with the rows left out of a step, which starts from the checkpoint."""
    settings = dict(values["steps"][step])
    settings["without_rows"] = list(dict.fromkeys([*settings.get("without_rows", ()), *ids]))
    settings.pop("resume", None)
    if checkpoint is not None:
        settings["resume"] = str(checkpoint)
    return {**values, "steps": {**values["steps"], step: settings}}
