"""The protocol of a tracker: a service or store outside burnish that receives the metrics of a run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from burnish.core.files import read_json, write_json

PROJECT = "burnish"
State = Literal["finished", "stopped", "failed"]
"""How a run ended: finished, stopped and resumable, or failed."""


@dataclass(frozen=True)
class Point:
    """Metrics of one step, and when they were measured (seconds since 1970)."""

    step: int
    at: float
    values: Mapping[str, float]


@dataclass(frozen=True)
class TrackedRun:
    """The facts about a run for a tracker. A resumed run has the `id` of its first attempt."""

    id: str
    name: str
    settings: Mapping[str, Any]
    folder: Path
    """The folder of this tracker's files; published with the artifact."""
    memory: Path
    """A JSON file that survives a killed attempt, for the state needed to continue the run."""
    report: Callable[[str], None]

    def recall(self) -> dict[str, Any]:
        """The values that `remember` wrote, or an empty dict."""
        try:
            found = read_json(self.memory)
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def remember(self, **values: Any) -> None:
        """Keep JSON values for the next attempt."""
        write_json(self.memory, values)


class Tracker(Protocol):
    """One run in one tracker. Any exception that a method raises ends the tracking there, not the training."""

    def holds(self, step: int, name: str) -> bool:
        """Whether an earlier attempt of this run already stored a metric of a step."""
        ...

    def log(self, point: Point) -> None: ...

    def close(self, state: State, error: str) -> None:
        """Store the remaining points and set the state of the run; `error` is empty for a finished run."""
        ...


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as one level, under dotted names."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found
