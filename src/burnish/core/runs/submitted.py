"""A run that was submitted to the queue: its steps as they were resolved, its options, and how each step ended.

runs/<recipe>/<number>/.queue/submitted.json      the recipe, its steps and the options; written once
runs/<recipe>/<number>/.queue/<step>/ended.json   how a step ended in the queue; removed when it is resumed

What was submitted is what runs: references are resolved once. The queue in the database is rebuilt from these files.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from burnish.core.errors import AskError
from burnish.core.files import write_json
from burnish.core.runs.names import plain_name
from burnish.core.runs.records import is_there, read_record
from burnish.core.runs.run import is_held
from burnish.core.runs.workspace import Workspace

SUBMITTED = "submitted.json"
HIGHEST_PRIORITY = 1_000_000
"""And the lowest, below zero."""
MOST_RETRIES = 100
SHORTEST_LIMIT, LONGEST_LIMIT = 1, 1e9
"""Seconds that a step may be limited to."""


def check_priority(priority: int) -> None:
    """Errors: AskError `ask.wrong-value` for one that the queue cannot have."""
    if not -HIGHEST_PRIORITY <= priority <= HIGHEST_PRIORITY:
        what = f"the priority is not in -{HIGHEST_PRIORITY:,} to {HIGHEST_PRIORITY:,}"
        raise AskError("ask.wrong-value", what, "give a number in these bounds; 0 is the usual one")


@dataclass(frozen=True)
class Options:
    """How the steps of a run are queued. Errors: AskError `ask.wrong-value` for a number beyond its bounds."""

    priority: int = 0
    """Steps of a higher priority start first."""
    retries: int = 2
    """How often a step starts again after an error that may pass, such as a worker that was killed."""
    time_limit: float | None = None
    """Seconds that a step may run; then it saves its state and has failed."""
    on: str | None = None
    """Where steps run: None for the machine of the worker, or the address of a Ray cluster."""

    def __post_init__(self) -> None:
        check_priority(self.priority)
        if not 0 <= self.retries <= MOST_RETRIES:
            what = f"the retries are not in 0 to {MOST_RETRIES}"
            raise AskError("ask.wrong-value", what, "give a number in these bounds; 2 is the usual one")
        if self.time_limit is not None and not SHORTEST_LIMIT <= self.time_limit <= LONGEST_LIMIT:
            what = f"the time limit is not in {SHORTEST_LIMIT} to {LONGEST_LIMIT:,.0f} seconds"
            raise AskError("ask.wrong-value", what, "give a number in these bounds, or none for no limit")


class SubmittedRun:
    """The records of one submitted run."""

    def __init__(self, workspace: Workspace, recipe: str, number: int):
        self._workspace, self.recipe, self.number = workspace, recipe, number
        self._folder = workspace.queue_folder(recipe, number)

    @property
    def name(self) -> str:
        return f"{self.recipe}/{self.number}"

    def exists(self) -> bool:
        return is_there(self._file)

    def write_beside(self, name: str, record: Mapping[str, Any]) -> None:
        """Record what else is to be known of the run: before `write`, so that a submitted run always has it."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        write_json(self._folder / name, record, mode=0o600)

    def write(self, values: Mapping[str, Any], steps: Sequence[Mapping[str, Any]], options: Options) -> None:
        """Record a recipe, its steps as `burnish.studio.queueing.plans` describes them, and the options: from now on
        the run is submitted."""
        self.write_beside(self._file.name, {"values": values, "options": asdict(options), "steps": steps})

    @property
    def options(self) -> Options:
        return Options(**self.record["options"])

    @property
    def needs(self) -> dict[str, list[str]]:
        """The steps, and for each the steps whose artifacts it takes."""
        return {step["step"]: step["needs"] for step in self.record["steps"]}

    @property
    def stages(self) -> dict[str, str]:
        """The stage of each step."""
        return {step["step"]: step["stage"] for step in self.record["steps"]}

    def record_end(self, step: str, state: str, reason: str = "") -> None:
        """Record how a step ended in the queue."""
        path = self._end_file(step)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        write_json(path, {"state": state, "reason": reason})

    def end_of(self, step: str) -> tuple[str, str] | None:
        """State and reason of a step that ended in the queue; None for one that waits or runs."""
        path = self._end_file(step)
        if not is_there(path):
            return None
        record = read_record(path)
        return record["state"], record["reason"]

    def jobs(self) -> dict[str, tuple[str, str]]:
        """For each step the state of its job and the reason, as `end_of`; `queued` while it waits or runs.

        None of a run that was not submitted.
        """
        return {step: self.end_of(step) or ("queued", "") for step in self.needs} if self.exists() else {}

    def forget_end(self, step: str) -> None:
        """Remove the record of how a step ended: it is queued again."""
        self._end_file(step).unlink(missing_ok=True)

    def reopen(self, steps: Collection[str]) -> None:
        """Forget that steps ended, and that the run was stopped: they are resumed."""
        self._workspace.stop_file(self.recipe, self.number).unlink(missing_ok=True)
        for step in steps:
            self.forget_end(step)

    def is_unfinished(self) -> bool:
        """Whether a step waits or runs, and no stop was requested."""
        if not self.exists() or self._workspace.is_stopped(self.recipe, self.number):
            return False
        return any(self.end_of(step) is None for step in self.needs)

    def _end_file(self, step: str) -> Path:
        return self._folder / plain_name(step) / "ended.json"

    @property
    def _file(self) -> Path:
        return self._folder / SUBMITTED

    @property
    def record(self) -> dict[str, Any]:
        """The content of submitted.json. Errors: AskError `ask.no-such-run`, RunError `run.broken-record`."""
        if not is_there(self._folder.parent):
            what = f"the folder of run {self.name} is gone: {self._folder.parent}"
            raise AskError("ask.no-such-run", what, "submit the recipe again: finished steps are reused")
        if not self.exists():
            what = f"run {self.name} was not submitted to the queue"
            raise AskError("ask.no-such-run", what, f"burnish runs resume {self.name}")
        return read_record(self._file)


def is_in_progress(workspace: Workspace, recipe: str, number: int) -> bool:
    """Whether a process executes a run, or its steps are in the queue."""
    return is_held(workspace.lock_of(recipe, number)) or SubmittedRun(workspace, recipe, number).is_unfinished()
