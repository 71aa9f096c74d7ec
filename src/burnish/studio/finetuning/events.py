"""What happened in a fine-tuning job, as OpenAI's events: from the events of its two steps and its client's actions.

The id of an event is where it ends in its file, so that it stays the same; a stream continues where it stopped.
"""

from collections.abc import Iterator
from heapq import merge
from pathlib import Path
from typing import Any

from burnish.core.events import CheckpointSaved, Event, Failed, Metric, Note, Progress, StateChanged
from burnish.core.files import jsonable
from burnish.core.runs.workspace import Workspace
from burnish.studio.finetuning.jobs import ENDED
from burnish.studio.finetuning.paging import page
from burnish.studio.finetuning.records import DATA, TUNE, FineTuningRecord, job_record
from burnish.studio.finetuning.states import states_of, status_of

_SAID = {
    "created": "Created fine-tuning job: {id}",
    "paused": "The job is paused: it saves its state and stops",
    "resumed": "The job is resumed",
    "cancelled": "The job is cancelled",
}
_OF_STATES = {
    (DATA, "running"): "Validating training file: {training_file}",
    (DATA, "succeeded"): "Files validated, moving job to queued state",
    (TUNE, "running"): "Fine-tuning job started",
    (TUNE, "succeeded"): "The job has successfully completed",
    (TUNE, "interrupted"): "The training saved its state and stopped",
}
_LEVELS = {"info": "info", "warning": "warn", "command": "info"}
_NAMES = {"loss": "train_loss", "eval_loss": "valid_loss"}


def list_events(
    id: str, *, limit: int = 20, after: str | None = None, workspace: Path | str | None = None
) -> dict[str, Any]:
    """The events of a job, the newest first, after the one with the id `after`.

    Errors: AskError `ask.no-such-job`, `ask.bad-reference`.
    """
    place = Workspace.find(workspace)
    found = _Reader(job_record(id, place), place).new()
    return page(found[::-1], limit, after, "event")


def follow_events(
    id: str,
    *,
    after: str | None = None,
    workspace: Path | str | None = None,
) -> Iterator[dict[str, Any] | None]:
    """The events of a job in their order, until it has ended; None where there is none yet: the caller waits a little.

    `after` is the id of the last event that the caller has.
    """
    place = Workspace.find(workspace)
    reader = _Reader(job_record(id, place), place)
    has_ended = False
    while True:
        found = reader.new()
        ids = [event["id"] for event in found]
        if after in ids:
            found, after = found[ids.index(after) + 1 :], None
        elif after is not None:
            found = []
        yield from found
        if has_ended:
            return
        record = job_record(id, place)
        has_ended = status_of(record, states_of(record, place)) in ENDED  # what it wrote before is read once more
        if not has_ended and not found:
            yield None


class _Reader:
    """Reads the events of a job from where it stopped."""

    def __init__(self, record: FineTuningRecord, place: Workspace):
        self._record, self._place = record, place
        self._offsets = {DATA: 0, TUNE: 0}
        self._done = 0
        self._total = 0

    def new(self) -> list[dict[str, Any]]:
        """The events since the last call, by time."""
        record = job_record(self._record.id, self._place)
        history = record.history[self._done :]
        mine = [
            (at, self._made(f"history-{self._done + n}", at, _SAID[happened].format(id=record.id)))
            for n, (at, happened) in enumerate(history)
        ]
        self._done += len(history)
        steps = [self._of_step(step) for step in (DATA, TUNE)]
        return [event for _, event in merge(mine, *steps, key=lambda pair: pair[0])]

    def _of_step(self, step: str) -> list[tuple[float, dict[str, Any]]]:
        """Those of a step in the order of its file, each with a time that does not go back."""
        run = self._place.steps_of(self._record.recipe, self._record.number)[step]
        if not run.name.startswith(f"{self._record.run}/"):
            return self._of_reused(step, run.name)
        found: list[tuple[float, dict[str, Any]]] = []
        latest = 0.0
        for event, offset in run.events.read(self._offsets[step]):
            self._offsets[step] = offset
            latest = max(latest, event.at)
            if (said := self._said(step, event)) is not None:
                message, level, data = said
                found.append((latest, self._made(f"{step}-{offset}", event.at, message, level, data)))
        return found

    def _of_reused(self, step: str, run: str) -> list[tuple[float, dict[str, Any]]]:
        """Of a step that an earlier run has done, with the same inputs and settings: that it is reused."""
        if self._offsets[step]:
            return []
        self._offsets[step] = 1
        said = [f"The result of {run} is reused, which has the same inputs and settings"]
        said += [_OF_STATES[step, "succeeded"]]
        at = self._record.history[0][0]
        return [(at, self._made(f"{step}-{number}", at, text)) for number, text in enumerate(said)]

    def _said(self, step: str, event: Event) -> tuple[str, str, dict[str, Any] | None] | None:
        """(message, level, metrics) of an event; None for one that OpenAI's clients have no use for."""
        match event:
            case StateChanged(state=state) if (text := _OF_STATES.get((step, state))) is not None:
                return text.format(training_file=self._record.training_file), "info", None
            case Note(text=text, level=level):
                return text, _LEVELS[level], None
            case Failed(code=code, what=what, fix=fix):
                return f"{what}; {fix} ({code})", "error", None
            case CheckpointSaved(step=number):
                return f"Checkpoint created at step {number}", "info", None
            case Progress(phase="train", total=total):
                self._total = total
            case Metric(step=number, values=values):
                return self._measured(number, values)
            case _:
                pass
        return None

    def _measured(self, number: int, values: dict[str, float]) -> tuple[str, str, dict[str, Any]]:
        data = {_NAMES.get(key, key): value for key, value in values.items()}
        of = f"/{self._total}" if self._total else ""
        losses = {"training loss": data.get("train_loss"), "validation loss": data.get("valid_loss")}
        shown = ", ".join(f"{name}={value:.4g}" for name, value in losses.items() if value is not None)
        return (
            f"Step {number}{of}: {shown}",
            "info",
            {"step": number, "total_steps": self._total or None, **jsonable(data)},
        )

    def _made(
        self, name: str, at: float, message: str, level: str = "info", data: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        return {
            "object": "fine_tuning.job.event",
            "id": f"ftevent-{self._record.recipe}-{self._record.number}-{name}",
            "created_at": int(at),
            "level": level,
            "message": message,
            "type": "message" if data is None else "metrics",
            "data": data or {},
        }
