"""What a run says while it works: typed events, appended to `events.jsonl`, one JSON object a line.

The terminal, the page and `burnish runs tail` all read these same bytes.
"""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from burnish.core.secrets import masked_value


class _Event(BaseModel):
    # NaN and infinity are written as words, since JSON has no numbers for them and a browser refuses them bare
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")
    at: float = Field(default_factory=time.time)
    """Seconds since 1970."""


class StateChanged(_Event):
    """The run went to another state."""

    kind: Literal["state"] = "state"
    state: str
    reason: str = ""


class Progress(_Event):
    """`done` of `total` units of a phase are finished; total 0 means unknown."""

    kind: Literal["progress"] = "progress"
    phase: str
    done: int
    total: int = 0
    unit: str = "rows"


class Metric(_Event):
    """Numbers of one step, such as loss, learning_rate, grad_norm, tokens_per_second, eval_loss."""

    kind: Literal["metric"] = "metric"
    step: int
    values: dict[str, float]


class Chosen(_Event):
    """An `auto` became a value, and why."""

    kind: Literal["chosen"] = "chosen"
    field: str
    value: Any
    reason: str


class Note(_Event):
    """A sentence for the person; `warning` is shown in yellow and again at the end."""

    kind: Literal["note"] = "note"
    level: Literal["info", "warning"] = "info"
    text: str


class CheckpointSaved(_Event):
    """A checkpoint was published."""

    kind: Literal["checkpoint"] = "checkpoint"
    step: int
    path: str


class Table(_Event):
    """A small table for the terminal and the page."""

    kind: Literal["table"] = "table"
    title: str
    columns: list[str]
    rows: list[list[str]]


class Failed(_Event):
    """Why the run failed."""

    kind: Literal["failed"] = "failed"
    code: str
    what: str
    fix: str


Event = Annotated[
    StateChanged | Progress | Metric | Chosen | Note | CheckpointSaved | Table | Failed,
    Field(discriminator="kind"),
]
_reader: TypeAdapter[Event] = TypeAdapter(Event)


class EventLog:
    """The append-only file of a run's events. Each event is one `write` of one whole line, secrets masked."""

    def __init__(self, path: Path):
        self.path = path

    def append(self, event: Event) -> None:
        line = (
            json.dumps(masked_value(json.loads(event.model_dump_json())), ensure_ascii=False, separators=(",", ":"))
            + "\n"
        )
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            if os.lseek(descriptor, 0, os.SEEK_END) and not self._ends_whole():
                line = "\n" + line  # a killed writer left half a line: keep it apart
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)

    def _ends_whole(self) -> bool:
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"

    def read(self, offset: int = 0) -> Iterator[tuple[Event, int]]:
        """Give (event, offset after it) from a byte offset on; half a line at the end is left for later."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                offset += len(line)
                try:
                    yield _reader.validate_json(line), offset
                except ValueError:
                    continue  # the torn line of a killed writer


def read_events(path: Path) -> list[Event]:
    """Every whole event of a run folder's `events.jsonl`."""
    return [event for event, _ in EventLog(path).read()]
