"""What happened in a fine-tuning job, as OpenAI's events: from the events of its two steps and its client's actions.

The id of an event is where it ends in its file, so that it stays the same. Events of two files come in the order in
which they were found: how far each was read is the cursor of a stream, from which another one continues.
"""

import os
import re
from collections.abc import Callable, Iterator
from functools import partial
from heapq import merge
from pathlib import Path
from typing import Any

import orjson

from burnish.core.errors import AskError
from burnish.core.events import CheckpointSaved, Event, Failed, Metric, Note, Progress, StateChanged, event_of
from burnish.core.files import jsonable
from burnish.core.runs.workspace import Workspace
from burnish.studio.finetuning.jobs import ENDED
from burnish.studio.finetuning.paging import page_of
from burnish.studio.finetuning.records import DATA, JOB_FILE, METRICS, TUNE, FineTuningRecord, job_record
from burnish.studio.finetuning.results import failure
from burnish.studio.finetuning.states import StepState, states_of, status_of
from burnish.studio.queueing import watching

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
_HISTORY = "history"
_CURSOR = re.compile(r"ftcursor-(\d{1,15})\.(\d{1,15})\.(\d{1,15})")
_LEVELS = {"info": "info", "warning": "warn", "command": "info"}
_KINDS = ("state", "note", "failed", "checkpoint", "metric")


def list_events(
    id: str, *, limit: int = 20, after: str | None = None, workspace: Path | str | None = None
) -> dict[str, Any]:
    """The events of a job, the newest first, after the one with the id `after`.

    Errors: AskError `ask.no-such-job`, `ask.bad-reference`.
    """
    place = Workspace.find(workspace)
    return page_of(_Reader(job_record(id, place), place).newest_first(), limit, after, "event")


def follow_events(
    id: str,
    *,
    after: str | None = None,
    revision: Callable[[], int] | None = None,
    workspace: Path | str | None = None,
) -> Iterator[tuple[dict[str, Any], str] | None]:
    """The events of a job, each with its cursor, until it has ended; None where there is none yet: the caller waits.

    `after` is the last cursor that the caller has: what comes then has nothing twice, and leaves nothing out. It may
    also be the id of an event: then what was found after it by time is left. `revision` tells how far the queue has
    changed: a program with many streams asks it once for all. Errors: AskError `ask.no-such-job`, `ask.bad-reference`
    for an `after` that is neither.
    """
    place = Workspace.find(workspace)
    record = job_record(id, place)
    cursor = _CURSOR.fullmatch(after) if after is not None else None
    reader = _Reader(record, place, tuple(map(int, cursor.groups())) if cursor else (0, 0, 0))
    first = reader.new()
    if after is not None and cursor is None:
        ids = [event["id"] for event, _ in first]
        if after not in ids:
            what = f"after: there is no event {after!r:.100} of this job"
            raise AskError("ask.bad-reference", what, "begin again without `after`")
        first = first[ids.index(after) + 1 :]
    return _following(reader, first, revision or partial(watching.revision, workspace=place.root))


def _following(
    reader: "_Reader", found: list[tuple[dict[str, Any], str]], revision: Callable[[], int]
) -> Iterator[tuple[dict[str, Any], str] | None]:
    has_ended, seen = False, -1
    while True:
        yield from found
        if has_ended:
            return
        newest = revision()
        if found or newest != seen:
            states = reader.states()
            has_ended = status_of(reader.record, states) in ENDED  # what it wrote before is read once more
            seen = newest if all(state.is_queued for state in states) else -1  # a folder has no revision
        if not has_ended and not found:
            yield None
        found = reader.new()


_Found = tuple[float, str, int, dict[str, Any]]
"""An event with its time, its source, and how much of that source is read with it."""
_Made = tuple[float, str, Callable[[], dict[str, Any] | None]]
"""A time that does not grow, the end of an id, and how the event is made."""
_Stamp = tuple[int, int, int] | None


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _known(line: bytes) -> float | None:
    """The time of an event of which clients are told; None for another one, or what is none."""
    try:
        event = orjson.loads(line)
        return float(event["at"]) if event["kind"] in _KINDS else None
    except (ValueError, TypeError, KeyError):
        return None


class _Reader:
    """Reads the events of a job from where it stopped."""

    def __init__(self, record: FineTuningRecord, place: Workspace, read: tuple[int, ...] = (0, 0, 0)):
        """`read`: how much of the job's history and of the events of its two steps is known."""
        self.record, self._place = record, place
        self._read: dict[str, int] = dict(zip((_HISTORY, DATA, TUNE), read, strict=True))
        self._runs, self._stamps = place.steps_of(record.recipe, record.number), dict[Path, _Stamp]()
        self._total = self._known_total() if self._read[TUNE] else 0

    def new(self) -> list[tuple[dict[str, Any], str]]:
        """The events since the last call, by time, each with the cursor after it."""
        begun = self._read.copy()
        lists = [self._of_history(), *(self._of_step(step) for step in (DATA, TUNE))]
        found: list[tuple[dict[str, Any], str]] = []
        for _, source, end, event in merge(*lists, key=lambda one: one[0]):
            begun[source] = end
            found.append((event, f"ftcursor-{begun[_HISTORY]}.{begun[DATA]}.{begun[TUNE]}"))
        return found

    def newest_first(self) -> Iterator[tuple[str, Callable[[], dict[str, Any] | None]]]:
        """All events from the last to the first, each by its id, and how it is made; None for a line that is damaged.
        Only as much is read as is taken."""
        self._total = self._known_total()
        lists = [*(self._step_back(step) for step in (TUNE, DATA)), self._history_back()]
        for _, name, make in merge(*lists, key=lambda one: -one[0]):
            yield self._id(name), make

    def states(self) -> list[StepState]:
        """The states of both steps now."""
        self._look_again()
        return states_of(self.record, self._place)

    def _look_again(self) -> None:
        """Read what the client did, and in which folders the steps are, if that was written since."""
        folder = self._place.queue_folder(self.record.recipe, self.record.number)
        if self._is_new(folder / JOB_FILE):
            self.record = job_record(self.record.id, self._place)
        if self._is_new(folder.parent / "plan.json"):
            self._runs = self._place.steps_of(self.record.recipe, self.record.number)

    def _is_new(self, path: Path) -> bool:
        """Whether a file is another one than at the last call, or longer."""
        before, status = self._stamps.get(path), _status(path)
        now = None if status is None else (status.st_ino, status.st_size, status.st_mtime_ns)
        self._stamps[path] = now
        return now != before

    def _history_back(self) -> "Iterator[_Made]":
        for n, (at, happened) in reversed(list(enumerate(self.record.history))):
            name = f"history-{n}"
            yield at, name, partial(self._made, name, at, _SAID[happened].format(id=self.record.id))

    def _step_back(self, step: str) -> "Iterator[_Made]":
        run = self._runs[step]
        if not run.name.startswith(f"{self.record.run}/"):
            for at, _, number, event in reversed(self._of_reused(step, run.name)):
                yield at, f"{step}-{number - 1}", lambda event=event: event
            return
        earliest = float("inf")
        for line, offset in run.events.lines_back():
            if (known := _known(line)) is not None:
                earliest = min(earliest, known)
                yield earliest, f"{step}-{offset}", partial(self._of_line, step, line, offset)

    def _of_line(self, step: str, line: bytes, offset: int) -> dict[str, Any] | None:
        event = event_of(line)
        said = None if event is None else self._said(step, event)
        return None if event is None or said is None else self._made(f"{step}-{offset}", event.at, *said)

    def _of_history(self) -> "list[_Found]":
        self._look_again()
        history, done = self.record.history, self._read[_HISTORY]
        self._read[_HISTORY] = max(done, len(history))
        return [
            (at, _HISTORY, n + 1, self._made(f"history-{n}", at, _SAID[happened].format(id=self.record.id)))
            for n, (at, happened) in enumerate(history)
            if n >= done
        ]

    def _known_total(self) -> int:
        """The steps of the training, as its events say."""
        said = self._runs[TUNE].events.of_kinds("progress")
        return next((one.total for one in said if isinstance(one, Progress) and one.phase == "train"), 0)

    def _of_step(self, step: str) -> "list[_Found]":
        """Those of a step in the order of its file, each with a time that does not go back."""
        run = self._runs[step]
        if not run.name.startswith(f"{self.record.run}/"):
            return self._of_reused(step, run.name)
        found: list[_Found] = []
        if not self._is_new(run.events.path):
            return found
        latest = 0.0
        for event, offset in run.events.read(self._read[step]):
            self._read[step] = offset
            latest = max(latest, event.at)
            if (said := self._said(step, event)) is not None:
                message, level, data = said
                found.append((latest, step, offset, self._made(f"{step}-{offset}", event.at, message, level, data)))
        return found

    def _of_reused(self, step: str, run: str) -> "list[_Found]":
        """Of a step that an earlier run has done, with the same inputs and settings: that it is reused."""
        done = self._read[step]
        said = [f"The result of {run} is reused, which has the same inputs and settings"]
        said += [_OF_STATES[step, "succeeded"]]
        self._read[step] = len(said)
        at = self.record.history[0][0]
        return [
            (at, step, number + 1, self._made(f"{step}-{number}", at, text))
            for number, text in enumerate(said)
            if number >= done
        ]

    def _said(self, step: str, event: Event) -> tuple[str, str, dict[str, Any] | None] | None:
        """(message, level, metrics) of an event; None for one that OpenAI's clients have no use for."""
        match event:
            case StateChanged(state=state) if (text := _OF_STATES.get((step, state))) is not None:
                return text.format(training_file=self.record.training_file), "info", None
            case Note(text=text, level=level):
                return text, _LEVELS[level], None
            case Failed(code=code, what=what, fix=fix):
                is_stop = code == "run.interrupted"  # as a client asked for
                return f"{failure(code, what, fix)} ({code})", "info" if is_stop else "error", None
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
        data = {METRICS.get(key, key): value for key, value in values.items()}
        of = f"/{self._total}" if self._total else ""
        losses = {"training loss": data.get("train_loss"), "validation loss": data.get("valid_loss")}
        shown = ", ".join(f"{name}={value:.4g}" for name, value in losses.items() if value is not None)
        return (
            f"Step {number}{of}: {shown}",
            "info",
            {"step": number, "total_steps": self._total or None, **jsonable(data)},
        )

    def _id(self, name: str) -> str:
        return f"ftevent-{self.record.recipe}-{self.record.number}-{name}"

    def _made(
        self, name: str, at: float, message: str, level: str = "info", data: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        return {
            "object": "fine_tuning.job.event",
            "id": self._id(name),
            "created_at": int(at),
            "level": level,
            "message": message,
            "type": "message" if data is None else "metrics",
            "data": data or {},
        }
