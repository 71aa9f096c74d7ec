"""The checkpoints of a fine-tuning job in OpenAI's shape: each is a model that a recipe or the playground can name."""

import math
import re
from pathlib import Path
from typing import Any

import orjson

from burnish.core.events import CheckpointSaved, Metric, event_of
from burnish.core.runs.checkpoints import kept_checkpoints
from burnish.core.runs.workspace import Workspace
from burnish.studio.finetuning.paging import page
from burnish.studio.finetuning.records import METRICS, TUNE, job_record

_LINE = re.compile(rb'"kind":"(metric|checkpoint)"')


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
    for line, _ in run.events.lines_back() if kept else ():
        if _LINE.search(line) is None or _step_of(line) not in kept:  # of a long training all but a few
            continue
        match event_of(line):
            case Metric(step=step, values=values):
                measured[step] = {**values, **measured.get(step, {})}  # the last value of each
            case CheckpointSaved(step=step, at=at):
                made.setdefault(step, at)
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


def _step_of(line: bytes) -> int | None:
    try:
        return orjson.loads(line)["step"]
    except (ValueError, TypeError, KeyError):
        return None


def _metrics(values: dict[str, float]) -> dict[str, float | None]:
    """Those that OpenAI's clients know; None for one that is not finite."""
    found = {ours: values[theirs] for theirs, ours in METRICS.items() if theirs in values}
    if "valid_loss" in found:  # the recipe of a job sets no eval_rows
        found["full_valid_loss"] = found["valid_loss"]
    return {name: value if math.isfinite(value) else None for name, value in found.items()}
