"""The checkpoints of a fine-tuning job in OpenAI's shape: each is a model that a recipe or the playground can name."""

from pathlib import Path
from typing import Any

from burnish.core.events import CheckpointSaved, Metric
from burnish.core.runs.checkpoints import kept_checkpoints
from burnish.core.runs.workspace import Workspace
from burnish.studio.finetuning.paging import page
from burnish.studio.finetuning.records import TUNE, job_record

_NAMES = {"loss": "train_loss", "eval_loss": "valid_loss"}


def list_checkpoints(
    id: str, *, limit: int = 10, after: str | None = None, workspace: Path | str | None = None
) -> dict[str, Any]:
    """The checkpoints of a job that are kept, the newest first, after the one with the id `after`."""
    place = Workspace.find(workspace)
    record = job_record(id, place)
    run = place.steps_of(record.recipe, record.number)[TUNE]
    kept = {checkpoint.step for checkpoint in kept_checkpoints(run)}
    made: dict[int, float] = {}
    measured: dict[int, dict[str, float]] = {}
    for event, _ in run.events.read():
        match event:
            case Metric(step=step, values=values):
                measured.setdefault(step, {}).update(values)
            case CheckpointSaved(step=step, at=at):
                made[step] = at
            case _:
                pass
    rows: list[dict[str, Any]] = [
        {
            "object": "fine_tuning.job.checkpoint",
            "id": f"ftckpt-{record.recipe}-{record.number}-{step}",
            "created_at": int(made[step]),
            "fine_tuning_job_id": id,
            "fine_tuned_model_checkpoint": f"{record.recipe}.{TUNE}@{record.number}/step-{step}",
            "step_number": step,
            "metrics": {"step": step, **_metrics(measured.get(step, {}))},
        }
        for step in sorted(kept & made.keys(), reverse=True)
    ]
    return page(rows, limit, after, "checkpoint")


def _metrics(values: dict[str, float]) -> dict[str, float]:
    return {ours: values[theirs] for theirs, ours in _NAMES.items() if theirs in values}
