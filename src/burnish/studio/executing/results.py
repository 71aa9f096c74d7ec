"""What a run of a recipe gives, and how it is watched."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from burnish.core.events import Event
from burnish.core.plan import Plan, PlannedStep
from burnish.core.runs.artifact import Artifact
from burnish.core.runs.run import Run


@dataclass(frozen=True)
class StepResult:
    """The result of a step. `metrics` are the measures of its artifact, `path` is the folder."""

    name: str
    action: str
    run: Run
    artifact: Artifact
    registered: str | None = None
    """The version in the registry, such as `support@3`, if the step has `register`."""
    pushed: str | None = None
    """The address of the commit on a hub, if the step has `push_to`."""

    @property
    def metrics(self) -> Mapping[str, Any]:
        return self.artifact.measures

    @property
    def path(self) -> Path:
        """The artifact's folder. Raises RunError `run.damaged-artifact` if files changed since they were written."""
        self.artifact.refuse_damage({}, self.run.name)
        return self.artifact.path


@dataclass
class RunResult:
    """A finished run of a recipe: `result["tune"].metrics`, `result["tune"].path`."""

    recipe: str
    number: int
    steps: dict[str, StepResult] = field(default_factory=dict[str, StepResult])

    def __getitem__(self, step: str) -> StepResult:
        return self.steps[step]

    @property
    def name(self) -> str:
        return f"{self.recipe}/{self.number}"

    @property
    def metrics(self) -> dict[str, Mapping[str, Any]]:
        return {name: step.metrics for name, step in self.steps.items()}

    def as_dict(self) -> dict[str, Any]:
        return {
            "run": self.name,
            "steps": {
                name: {
                    "action": step.action,
                    "run": step.run.name,
                    "kind": step.artifact.kind,
                    "path": str(step.path),
                    "metrics": dict(step.metrics),
                    **({} if step.registered is None else {"registered": step.registered}),
                    **({} if step.pushed is None else {"pushed": step.pushed}),
                }
                for name, step in self.steps.items()
            },
        }


class Watcher(Protocol):
    """Callbacks of a running recipe."""

    def on_run_start(self, plan: Plan, number: int, folder: Path) -> None: ...
    def on_step_start(self, step: PlannedStep, run: Run) -> None: ...
    def on_event(self, step: PlannedStep, event: Event) -> None: ...
    def on_step_end(self, step: PlannedStep, run: Run) -> None: ...
    def on_stop(self, at_once: bool) -> None: ...
    def on_wait(self, step: PlannedStep, run: Run) -> None: ...


class SilentWatcher:
    """A watcher that prints nothing: the default in Python."""

    def on_run_start(self, plan: Plan, number: int, folder: Path) -> None: ...
    def on_step_start(self, step: PlannedStep, run: Run) -> None: ...
    def on_event(self, step: PlannedStep, event: Event) -> None: ...
    def on_step_end(self, step: PlannedStep, run: Run) -> None: ...
    def on_stop(self, at_once: bool) -> None: ...
    def on_wait(self, step: PlannedStep, run: Run) -> None: ...
