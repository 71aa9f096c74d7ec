"""Completions of a training on rewards, with their rewards: the rollout ledger, for people."""

from pathlib import Path
from typing import Any

from burnish.core.errors import AskError
from burnish.core.runs.run import Run
from burnish.core.runs.workspace import Workspace
from burnish.studio.rows import has_written, refuse_damage, step_with
from burnish.studio.workrooms import ask, require

WORST = 10
_PUBLISHED, _UNFINISHED = "rollouts.parquet", "rollouts"


def rollouts(
    name: str = "latest",
    *,
    step: str | None = None,
    at: int | None = None,
    worst: int | None = None,
    best: int | None = None,
    workspace: Path | str | None = None,
) -> dict[str, Any]:
    """Completions that an optimizer step of a training on rewards used, with each of their rewards.

    `at` is the optimizer step, the last one by default; `worst` (10 by default) have the lowest and `best` the highest
    reward. `step` names the step of a run with several such trainings.

    Returns a dict: `run`, `state`, `rollout`, `first_step`, `at` if it was given, `completions`, `reward`, their mean,
    and the lists `worst` and `best` of completions: `id`, `source`, `prompt`, `reference`, `text`, `finish_reason`,
    `tokens`, `reward`, `advantage`, `learned`, `rewards` and `why`.
    """
    for field, number in (("worst", worst), ("best", best), ("at", at)):
        if number is not None and number < 0:
            raise AskError("ask.wrong-value", f"{field} is {number}, which is below 0", f"set {field} to 1 or more")
    if worst is None:
        worst = 0 if best else WORST
    require("pyarrow", "data")
    place = Workspace.find(workspace)
    run = step_with("rollout ledger", _has_rollouts, "trainings on rewards", place.find_runs(name), name, step)
    artifact, known = run.artifact(), place.hashes()
    if artifact is not None:
        refuse_damage(artifact, known, _PUBLISHED)
    ledger = run.scratch / _UNFINISHED if artifact is None else artifact.path / _PUBLISHED
    request = {"ledger": str(ledger), "at": at, "worst": worst, "best": best or 0}
    return {"run": run.name, "state": run.state, **ask("burnish.stages.train.rl.rollout_ledger", request)}


def _has_rollouts(run: Run) -> bool:
    return has_written(run, _PUBLISHED) or any((run.scratch / _UNFINISHED).glob("[0-9]*"))
