"""The metrics in an `events.jsonl`, read in columns: the validation of each event would take most of the time.

`Metrics.update` reads on from where it stopped, so that a run in progress is not read from its start each time.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from burnish.core.events import Metric, event_of

_AT_ONCE = 4 << 20
_CHECKED = 256
"""Bytes before the place where reading stopped: if they differ, it is another file."""


@dataclass(frozen=True)
class Column:
    """The values of one metric, by rising step. `at` is in seconds since 1970."""

    steps: Sequence[int]
    values: Sequence[float]
    at: Sequence[float]


@dataclass
class _Rows:
    """The events with the same names of metrics, in the order of the file."""

    places: "array[int]" = field(default_factory=lambda: array("q"))
    """The number of each event among all."""
    steps: "array[int]" = field(default_factory=lambda: array("q"))
    at: "array[float]" = field(default_factory=lambda: array("d"))
    values: "array[float]" = field(default_factory=lambda: array("d"))
    """All values, event by event."""

    def extend(self, other: "_Rows") -> None:
        self.places.extend(other.places)
        self.steps.extend(other.steps)
        self.at.extend(other.at)
        self.values.extend(other.values)


class Metrics:
    """All metrics of one `events.jsonl`."""

    def __init__(self, path: Path):
        self._path = path
        self._forget()

    def _forget(self) -> None:
        self._offset, self._read = 0, 0
        self._end = b""
        self._rows: dict[tuple[str, ...], _Rows] = {}

    def update(self) -> None:
        """Read what was added since the last call; all of it again if the file is another one."""
        try:
            file = self._path.open("rb", buffering=0)
        except FileNotFoundError:  # not written yet, or removed with its run
            return self._forget()
        with file:
            file.seek(self._offset - len(self._end))
            if file.read(len(self._end)) != self._end:
                self._forget()
                file.seek(0)
            rest = b""
            while part := file.read(_AT_ONCE):
                whole, newline, rest = (rest + part).rpartition(b"\n")
                if newline:
                    self._add(whole.split(b"\n"))
                    self._offset += len(whole) + 1
                    self._end = (self._end + whole + newline)[-_CHECKED:]
        return None

    def names(self) -> list[str]:
        """The names of the metrics, in the order of their first values."""
        return list(dict.fromkeys(name for names in self._rows for name in names))

    def column(self, name: str) -> Column:
        """One metric; of steps that were repeated after a resume the last value. Empty if there is none."""
        parts = [
            (rows, rows.values[names.index(name) :: len(names)]) for names, rows in self._rows.items() if name in names
        ]
        if len(parts) == 1 and _rises(parts[0][0].steps):
            rows, values = parts[0]
            return Column(rows.steps[:], values, rows.at[:])
        every = [row for rows, values in parts for row in zip(rows.places, rows.steps, values, rows.at, strict=True)]
        last = {step: (value, at) for _, step, value, at in sorted(every)}
        steps = sorted(last)
        return Column(steps, [last[step][0] for step in steps], [last[step][1] for step in steps])

    def _add(self, lines: list[bytes]) -> None:
        import orjson  # not at the start of every command

        lines = [line for line in lines if b'"metric"' in line]
        try:
            found = _grouped(map(orjson.loads, lines), self._read)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError):  # such as NaN, or a line cut off
            found = _grouped(_validated(lines), self._read)
        self._read += len(lines)
        for names, rows in found.items():
            self._rows.setdefault(names, _Rows()).extend(rows)


def _grouped(events: Iterable[dict[str, Any]], place: int) -> dict[tuple[str, ...], _Rows]:
    """Events by the names of their metrics. Errors: those of values with other types than a metric has."""
    parts: dict[tuple[str, ...], tuple[list[int], list[int], list[float], list[float]]] = {}
    for event in events:
        place += 1
        values = event["values"]
        if len(event) != 4 or event["kind"] != "metric":
            raise ValueError
        names = tuple(values)
        if names not in parts:
            parts[names] = ([], [], [], [])
        places, steps, at, flat = parts[names]
        places.append(place)
        steps.append(event["step"])
        at.append(event["at"])
        flat += values.values()
    return {
        names: _Rows(array("q", places), array("q", steps), array("d", at), array("d", flat))
        for names, (places, steps, at, flat) in parts.items()
    }


def _validated(lines: list[bytes]) -> Iterator[dict[str, Any]]:
    """The events as `EventLog.read` has them; a step that no machine can count is left out."""
    for line in lines:
        event = event_of(line)
        if isinstance(event, Metric) and abs(event.step) < 1 << 63:
            yield event.model_dump()


def _rises(steps: Sequence[int]) -> bool:
    return all(map(int.__lt__, steps, steps[1:]))
