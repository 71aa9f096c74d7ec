"""Typed events of a run, appended to `events.jsonl`, one JSON object per line.

The terminal, the web page and `burnish runs tail` all read this file.
"""

import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from burnish.core.files import open_regular
from burnish.core.printable import encodable
from burnish.core.secrets import masked_value


class _Event(BaseModel):
    # NaN and infinity are written as strings: JSON has no such numbers
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")
    at: float = Field(default_factory=time.time)
    """Seconds since 1970."""

    @model_validator(mode="before")
    @classmethod
    def text_is_encodable(cls, values: dict[str, Any]) -> dict[str, Any]:
        return {name: encodable(value) if isinstance(value, str) else value for name, value in values.items()}


class StateChanged(_Event):
    """The state of the run changed."""

    kind: Literal["state"] = "state"
    state: str
    reason: str = ""


class Progress(_Event):
    """`done` of `total` units of a phase are finished; a total of 0 means unknown."""

    kind: Literal["progress"] = "progress"
    phase: str
    done: int
    total: int = 0
    unit: str = "rows"


class Metric(_Event):
    """Metrics of one step, such as loss, learning_rate, grad_norm, tokens_per_second, eval_loss."""

    kind: Literal["metric"] = "metric"
    step: int
    values: dict[str, float]


class Chosen(_Event):
    """The value chosen for an `auto` setting, and why."""

    kind: Literal["chosen"] = "chosen"
    field: str
    value: Any
    reason: str


class Note(_Event):
    """A message for the user; a `warning` is shown in yellow and repeated at the end, a `command` is never broken."""

    kind: Literal["note"] = "note"
    level: Literal["info", "warning", "command"] = "info"
    text: str


class CheckpointSaved(_Event):
    """A checkpoint was saved."""

    kind: Literal["checkpoint"] = "checkpoint"
    step: int
    path: str


class Table(_Event):
    """A small table for the terminal and the web page."""

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
_BLOCK = 1 << 18
"""Bytes that are read at a time from the end."""


class EventLog:
    """The append-only event file of a run. Each event is one `write` of one line, with secrets masked."""

    def __init__(self, path: Path):
        self.path = path

    def append(self, event: Event) -> None:
        line = (
            json.dumps(masked_value(json.loads(event.model_dump_json())), ensure_ascii=False, separators=(",", ":"))
            + "\n"
        )
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            if os.lseek(descriptor, 0, os.SEEK_END) and not self._ends_with_newline():
                line = "\n" + line  # separate it from the partial line of a killed writer
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)

    def _ends_with_newline(self) -> bool:
        with open_regular(self.path) as file:
            file.seek(-1, os.SEEK_END)
            return file.read() == b"\n"

    def read(self, offset: int = 0) -> Iterator[tuple[Event, int]]:
        """Yield (event, offset after it) from a byte offset; a partial last line is left for the next read."""
        try:
            file = open_regular(self.path)
        except FileNotFoundError:  # not written yet, or removed with its run
            return
        with file:
            file.seek(offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                offset += len(line)
                event = event_of(line)
                if event is not None:
                    yield event, offset

    def lines_back(self) -> Iterator[tuple[bytes, int]]:
        """Yield (line, offset after it) from the last complete line to the first."""
        try:
            file = open_regular(self.path)
        except FileNotFoundError:
            return
        with file:
            position = end = file.seek(0, os.SEEK_END)
            data = b""  # from the position to the end
            while position:
                size = min(_BLOCK, position)
                position -= size
                file.seek(position)
                data = file.read(size) + data
                if end == position + len(data) and not data.endswith(b"\n"):  # the last line is not complete
                    data = data[: data.rfind(b"\n") + 1]
                    end = position + len(data)
                lines = [line + b"\n" for line in data.split(b"\n")[:-1]]
                for line in reversed(lines[1 if position else 0 :]):
                    yield line, end
                    end -= len(line)
                data = lines[0] if position and lines else b""

    def of_kinds(self, *kinds: str) -> Iterator[Event]:
        """The complete events of some kinds; lines of others, such as a hundred thousand metrics, are not parsed."""
        has_kind = re.compile(f'"kind":"(?:{"|".join(map(re.escape, kinds))})"'.encode()).search
        try:
            file = open_regular(self.path)
        except FileNotFoundError:
            return
        with file:
            for line in file:
                if has_kind(line) and line.endswith(b"\n"):
                    event = event_of(line)
                    if event is not None and event.kind in kinds:
                        yield event


def event_of(line: bytes) -> Event | None:
    """The event of a line; None for the partial line of a killed writer."""
    try:
        return _reader.validate_json(line)
    except ValueError:
        return None


def read_events(path: Path) -> list[Event]:
    """All complete events of an `events.jsonl`."""
    return [event for event, _ in EventLog(path).read()]
