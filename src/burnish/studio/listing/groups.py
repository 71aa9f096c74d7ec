"""A run as a whole: the steps of its plan with their states, and one state for all."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from burnish.core.errors import BurnishError
from burnish.core.runs.submitted import is_in_progress
from burnish.core.runs.workspace import Workspace
from burnish.jobs.index.entry import PlannedEntry, RunEntry, StepEntry

_WORST_FIRST = ("damaged", "failed", "killed", "interrupted")


def state_of(steps: Sequence[tuple[str | None, str]], *, in_progress: bool) -> str:
    """The state of a whole run from (action, state) of its steps; `queued` until its first step starts.

    Steps that were removed, such as by `burnish gc`, do not count.
    """
    states = [state for _, state in steps if state != "removed"]
    if in_progress:
        own = {state for action, state in steps if action != "reuse"}
        return "running" if own - {"planned"} else "queued"
    if "running" in states:  # a worker whose parent is gone
        return "running"
    if all(state == "succeeded" for state in states):
        return "succeeded" if states else "removed"
    return next((state for state in _WORST_FIRST if state in states), "interrupted")


def states_of_steps(steps: Sequence[tuple[str | None, str | None]]) -> list[str]:
    """The state of each step from (action, state), None for one that has no folder.

    Such a step was removed if it was reused, or a later one has started; else it is planned.
    """
    last = max((place for place, (_, state) in enumerate(steps) if state is not None), default=-1)
    return [
        state or ("removed" if place < last or action == "reuse" else "planned")
        for place, (action, state) in enumerate(steps)
    ]


class Group:
    """One run and the step folders that its plan names."""

    def __init__(self, run: RunEntry, folders: Mapping[str, StepEntry]):
        self.run = run
        self._folders = folders
        self._damage = run.damage

    def stages(self) -> set[str | None]:
        return {planned.stage for planned in self.run.steps}

    def unfinished(self) -> set[str]:
        """The names of the steps that have not succeeded."""
        return {
            planned.step for planned, state in zip(self.run.steps, self._states(), strict=True) if state != "succeeded"
        }

    def words(self) -> list[str | None]:
        """What a search looks into: names, stages, kinds and reasons."""
        found = [self._folders[planned.folder] for planned in self.run.steps if planned.folder in self._folders]
        texts = [self.run.run, self.run.damage, *(text for entry in found for text in (entry.kind, entry.reason))]
        return [*texts, *(text for planned in self.run.steps for text in (planned.step, planned.stage))]

    def state(self, place: Workspace) -> str:
        """As `state_of`; `damaged` without a readable plan."""
        if self.run.damage:
            return "damaged"
        states = self._states()
        is_done = all(state == "succeeded" for state in states)
        try:
            in_progress = not is_done and is_in_progress(place, self.run.recipe, self.run.number)
        except BurnishError as error:  # a damaged record of the queue
            self._damage = error.what
            return "damaged"
        actions = [planned.action for planned in self.run.steps]
        return state_of(list(zip(actions, states, strict=True)), in_progress=in_progress)

    def item(self, place: Workspace) -> dict[str, Any]:
        """The run, and a row for each of its steps; `action` is `reuse` for one that an earlier run had finished."""
        state = self.state(place)
        return {
            "run": self.run.run,
            "recipe": self.run.recipe,
            "number": self.run.number,
            "state": state,
            "reason": self._damage,
            "created": self.run.created or None,
            "seconds": self._seconds(state),
            "steps": [
                {"step": planned.step, "action": planned.action, **self._row(planned, state)}
                for planned, state in zip(self.run.steps, self._states(), strict=True)
            ],
        }

    def _row(self, planned: PlannedEntry, state: str) -> dict[str, Any]:
        entry = self._folders.get(planned.folder)
        if entry is not None:
            return entry.row()
        unknown = dict.fromkeys(("seconds", "created", "attempts", "kind"))
        return {"run": planned.folder, "stage": planned.stage, "state": state, "reason": "", "metrics": {}, **unknown}

    def _states(self) -> list[str]:
        entries = [self._folders.get(planned.folder) for planned in self.run.steps]
        return states_of_steps(
            [
                (planned.action, None if entry is None else entry.state)
                for planned, entry in zip(self.run.steps, entries, strict=True)
            ]
        )

    def _seconds(self, state: str) -> float | None:
        """From the plan to the end of the last step; until now while it runs."""
        if not self.run.created:
            return None
        own = [self._folders.get(planned.folder) for planned in self.run.steps if planned.action != "reuse"]
        ends = [entry.ended for entry in own if entry is not None and entry.ended is not None]
        end = time.time() if state == "running" else max(ends, default=None)
        return None if end is None else round(max(0.0, end - self.run.created), 1)
