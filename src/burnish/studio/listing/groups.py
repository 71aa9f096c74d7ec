"""A run as a whole: the steps of its plan with their states, and one state for all."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from burnish.core.errors import BurnishError
from burnish.core.runs.submitted import SubmittedRun, is_in_progress
from burnish.core.runs.workspace import Workspace
from burnish.jobs.index.entry import PlannedEntry, RunEntry, StepEntry

_WORST_FIRST = ("damaged", "failed", "killed", "interrupted")
Span = tuple[float, float | None, int]
"""When a step started and ended, in seconds since 1970, None while it runs; and how often it was started."""


def state_of(steps: Sequence[tuple[str | None, str]], *, in_progress: bool) -> str:
    """The state of a whole run from (action, state) of its steps; `queued` until its first step starts.

    Steps that were removed, such as by `burnish gc`, do not count.
    """
    states = [state for _, state in steps if state != "removed"]
    if in_progress:
        own = {state for action, state in steps if action != "reuse"}
        return "running" if own - {"planned", "queued"} else "queued"
    if "running" in states:  # a worker whose parent is gone
        return "running"
    if all(state == "succeeded" for state in states):
        return "succeeded" if states else "removed"
    return next((state for state in _WORST_FIRST if state in states), "interrupted")


def states_of_steps(steps: Sequence[tuple[str | None, str | None, str | None]], *, in_progress: bool) -> list[str]:
    """The state of each step from (action, state, job): the state is None for one that has no folder, the job for one
    that was not submitted.

    A step without a folder is as its job. Of a run that has ended, it was removed if a later step of it has started.
    """
    own = [place for place, (action, state, _) in enumerate(steps) if state is not None and action != "reuse"]
    last = -1 if in_progress else max(own, default=-1)
    return [
        state or _without_folder(action, job, in_progress=in_progress, is_before_others=place < last)
        for place, (action, state, job) in enumerate(steps)
    ]


def _without_folder(action: str | None, job: str | None, *, in_progress: bool, is_before_others: bool) -> str:
    if action == "reuse" or job == "succeeded":
        return "removed"
    if job in ("failed", "cancelled"):
        return job
    if job is not None:
        return "queued" if in_progress else "planned"
    return "removed" if is_before_others else "planned"


def time_of(created: float, spans: Sequence[Span], *, in_progress: bool) -> dict[str, float | None]:
    """`seconds`: how long at least one of the steps has run; `waited`: from the plan to the first start, until now
    before it. Both are None where that is not known, as of a step that was started again."""
    now = time.time()
    seconds = end = 0.0
    for started, ended, _ in sorted(spans):
        seconds += max(0.0, (ended or now) - max(started, end))
        end = max(end, ended or now)
    start, _, attempts = min(spans, default=(now if in_progress else None, None, 1))
    is_known = created and start is not None and attempts == 1
    return {
        "seconds": round(seconds, 1) if spans else None,
        "waited": round(max(0.0, start - created), 1) if is_known and start is not None else None,
    }


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
        return {planned.step for planned, entry in self._planned() if entry is None or entry.state != "succeeded"}

    def words(self) -> list[str | None]:
        """What a search looks into: names, stages, kinds and reasons."""
        found = [entry for _, entry in self._planned() if entry is not None]
        texts = [self.run.run, self.run.damage, *(text for entry in found for text in (entry.kind, entry.reason))]
        return [*texts, *(text for planned in self.run.steps for text in (planned.step, planned.stage))]

    def state(self, place: Workspace) -> str:
        """As `state_of`; `damaged` without a readable plan."""
        return self._now(place)[0]

    def item(self, place: Workspace) -> dict[str, Any]:
        """The run, and a row for each of its steps; `action` is `reuse` for one that an earlier run had finished."""
        state, states, reasons = self._now(place)
        rows = [
            {"step": planned.step, "action": planned.action, **self._row(planned, entry, of_step, reason)}
            for (planned, entry), of_step, reason in zip(self._planned(), states, reasons, strict=True)
        ]
        return {
            "run": self.run.run,
            "recipe": self.run.recipe,
            "number": self.run.number,
            "state": state,
            "reason": self._damage or _reason(rows),
            "created": self.run.created or None,
            **time_of(self.run.created, self._spans(), in_progress=state in ("running", "queued")),
            "steps": rows,
        }

    def _planned(self) -> list[tuple[PlannedEntry, StepEntry | None]]:
        return [(planned, self._folders.get(planned.folder)) for planned in self.run.steps]

    def _now(self, place: Workspace) -> tuple[str, list[str], list[str]]:
        """The state of the run, and of each step its state, and the reason that the queue gives."""
        if self.run.damage:
            return "damaged", [], []
        planned = self._planned()
        jobs: Mapping[str, tuple[str, str]] = {}
        in_progress = False
        try:
            if self.unfinished():
                in_progress = is_in_progress(place, self.run.recipe, self.run.number)
                if any(entry is None for _, entry in planned):
                    jobs = SubmittedRun(place, self.run.recipe, self.run.number).jobs()
        except BurnishError as error:  # a damaged record of the queue
            self._damage = error.what
        known = [jobs.get(step.step, (None, "")) for step, _ in planned]
        steps = [
            (step.action, None if entry is None else entry.state, job)
            for (step, entry), (job, _) in zip(planned, known, strict=True)
        ]
        states = states_of_steps(steps, in_progress=in_progress)
        actions = [step.action for step, _ in planned]
        state = state_of(list(zip(actions, states, strict=True)), in_progress=in_progress)
        return "damaged" if self._damage else state, states, [reason for _, reason in known]

    def _row(self, planned: PlannedEntry, entry: StepEntry | None, state: str, reason: str) -> dict[str, Any]:
        if entry is not None:
            return entry.row()
        unknown = dict.fromkeys(("seconds", "created", "attempts", "kind"))
        return {
            "run": planned.folder,
            "stage": planned.stage,
            "state": state,
            "reason": reason,
            "metrics": {},
            **unknown,
        }

    def _spans(self) -> list[Span]:
        return [
            (entry.started, entry.ended, entry.attempts or 1)
            for planned, entry in self._planned()
            if planned.action != "reuse" and entry is not None and entry.started is not None
            if entry.ended is not None or entry.state == "running"  # when a killed one ended is not known
        ]


def _reason(rows: Sequence[Mapping[str, Any]]) -> str:
    """Why the first step did not succeed that says so."""
    found = (row for row in rows if row["state"] in _WORST_FIRST and row["reason"])
    return next((f"{row['step']}: {row['reason']}" for row in found), "")
