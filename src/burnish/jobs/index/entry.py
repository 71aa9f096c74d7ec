"""What the index knows of one step folder, and of one run: read from their records."""

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from burnish.core.errors import AskError, BurnishError
from burnish.core.printable import encodable
from burnish.core.runs.artifact import Artifact
from burnish.core.runs.names import plain_name
from burnish.core.runs.run import Run
from burnish.core.runs.workspace import Workspace

UNSETTLED = ""
"""The signature of records that may change without a trace in their times: they are read again each time."""


@dataclass(frozen=True, slots=True)
class StepEntry:
    """One step folder. `run` is its name, `recipe/number/step`; times are in seconds since 1970."""

    run: str
    recipe: str
    number: int
    step: str
    age: float
    """When it was created, of a damaged one too if run.json tells; 0 if nothing does."""
    state: str
    """As `Run.state`; `damaged` if a record cannot be read."""
    reason: str
    stage: str | None = None
    created: float | None = None
    started: float | None = None
    ended: float | None = None
    attempts: int | None = None
    kind: str | None = None
    measures: str = "{}"
    """JSON."""
    fingerprint: str | None = None
    is_open: bool = False
    """Whether run.json says `running`: then the lock of the worker tells the state."""
    signature: str = UNSETTLED

    def row(self) -> dict[str, Any]:
        """As `burnish.runs` gives it."""
        return {
            "run": self.run,
            "stage": self.stage,
            "state": self.state,
            "seconds": self._seconds(),
            "created": self.created,
            "attempts": self.attempts,
            "reason": self.reason,
            "kind": self.kind,
            "metrics": json.loads(self.measures),
        }

    def _seconds(self) -> float | None:
        """Until now while it runs; when a killed one ended is not known."""
        if self.started is None or (self.ended is None and self.state != "running"):
            return None
        return round((self.ended or time.time()) - self.started, 1)


@dataclass(frozen=True, slots=True)
class PlannedEntry:
    """A step in the plan of a run."""

    step: str
    stage: str | None
    folder: str
    """The name of its step folder, which may be that of an older run."""
    action: str | None


@dataclass(frozen=True, slots=True)
class RunEntry:
    """One run: the folder `recipe/number` and its plan."""

    run: str
    recipe: str
    number: int
    created: float
    """0 if the plan does not tell."""
    steps: tuple[PlannedEntry, ...]
    damage: str = ""
    """Why the plan cannot be read."""
    signature: str = UNSETTLED


def read_step(run: Run, signature: str) -> StepEntry:
    """Read the records of a step folder, whose signature was taken before; a damaged one is an entry too, as is one
    whose name no reference can have."""
    try:
        _refuse_foreign(run.folder.parts[-3], run.folder.parts[-1])
        return entry_of(run, signature)
    except (BurnishError, OSError) as error:
        return StepEntry(**_names(run), age=_age(run), state="damaged", reason=_what(error))


def entry_of(run: Run, signature: str = UNSETTLED) -> StepEntry:
    """Read the records of a step folder. Errors: those of `Run.record`, `Run.state` and `Run.artifact`."""
    return entry_from(run, run.record, run.artifact(), signature)


def entry_from(run: Run, record: Mapping[str, Any], artifact: Artifact | None, signature: str = UNSETTLED) -> StepEntry:
    """The entry of a step folder whose records were read. Errors: those of `Run.state`."""
    is_open = record["state"] == "running"
    return StepEntry(
        **_names(run),
        age=_time(record["created"]),
        state=run.state if is_open else record["state"],
        reason=record.get("reason", ""),
        stage=record["stage"],
        created=record["created"],
        started=record.get("started"),
        ended=record.get("ended"),
        attempts=record["attempts"],
        kind=artifact.kind if artifact else None,
        measures=json.dumps(dict(artifact.measures)) if artifact else "{}",
        fingerprint=record["fingerprint"],
        is_open=is_open,
        signature=signature,
    )


def read_run(place: Workspace, recipe: str, number: int, signature: str) -> RunEntry:
    """Read the plan of a run, whose signature was taken before; a damaged one is an entry too."""
    name = encodable(f"{recipe}/{number}")
    try:
        _refuse_foreign(recipe)
        plan = place.plan_of(recipe, number)
    except (BurnishError, OSError) as error:
        return RunEntry(name, encodable(recipe), number, 0.0, (), damage=_what(error))
    steps = tuple(map(_planned, plan["steps"]))
    return RunEntry(name, recipe, number, _time(plan.get("created")), steps, signature=signature)


def _refuse_foreign(*names: str) -> None:
    """Refuse a folder that was put among the runs by hand, such as `demo (copy)`: nothing can refer to it."""
    try:
        for name in names:
            plain_name(name)
    except AskError as error:
        raise AskError(error.code, f"{error.what}: rename the folder, or move it out of runs/", error.fix) from None


def _names(run: Run) -> dict[str, Any]:
    recipe, number, step = map(encodable, run.folder.parts[-3:])
    return {"run": f"{recipe}/{number}/{step}", "recipe": recipe, "number": int(number), "step": step}


def _age(run: Run) -> float:
    try:
        return _time(run.record["created"])
    except (BurnishError, OSError):
        return 0.0


def _time(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else 0.0


def _what(error: BurnishError | OSError) -> str:
    what = error.what if isinstance(error, BurnishError) else f"{error.filename} cannot be read ({error.strerror})"
    return encodable(what)


def _planned(step: Mapping[str, Any]) -> PlannedEntry:
    return PlannedEntry(step["step"], _text(step.get("stage")), step["folder"], _text(step.get("action")))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def is_storable(entry: StepEntry | RunEntry) -> bool:
    """Whether a database gives the entry back as it is. Records that were edited may hold what none stores."""
    values = [getattr(entry, name) for name in type(entry).__slots__]
    return entry.signature != UNSETTLED and all(map(_is_storable, values))


def _is_storable(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" not in value and not any("\ud800" <= character <= "\udfff" for character in value)
    if isinstance(value, tuple):
        entries = cast("tuple[PlannedEntry, ...]", value)
        return all(_is_storable(getattr(each, name)) for each in entries for name in type(each).__slots__)
    return not isinstance(value, int | float) or (math.isfinite(value) and abs(value) < 1 << 62)
