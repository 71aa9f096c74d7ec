"""Run a recipe: reuse what is there, do the rest in worker processes, and tell a watcher what happens."""

import shutil
import signal
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from burnish.core.context import Input
from burnish.core.errors import BurnishError, RunError, error_from_dict
from burnish.core.events import Event
from burnish.core.plan import Plan, PlannedStep, make_plan
from burnish.core.run import Artifact, Run
from burnish.core.workspace import Workspace
from burnish.jobs.local import BUSY, LocalLauncher
from burnish.studio.asking import RecipeLike, as_recipe, stage_recipe

_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class StepResult:
    """What became of a step. `metrics` are the artifact's measures, `path` is its folder."""

    name: str
    action: str
    run: Run
    artifact: Artifact

    @property
    def metrics(self) -> Mapping[str, Any]:
        return self.artifact.measures

    @property
    def path(self) -> Path:
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
                }
                for name, step in self.steps.items()
            },
        }


class Watcher(Protocol):
    """What a face hears while a recipe runs."""

    def began(self, plan: Plan, number: int, folder: Path) -> None: ...
    def step_began(self, step: PlannedStep, run: Run) -> None: ...
    def heard(self, step: PlannedStep, event: Event) -> None: ...
    def step_ended(self, step: PlannedStep, run: Run) -> None: ...
    def stopping(self, at_once: bool) -> None: ...


class Quiet:
    """A watcher that says nothing: the default in Python."""

    def began(self, plan: Plan, number: int, folder: Path) -> None: ...
    def step_began(self, step: PlannedStep, run: Run) -> None: ...
    def heard(self, step: PlannedStep, event: Event) -> None: ...
    def step_ended(self, step: PlannedStep, run: Run) -> None: ...
    def stopping(self, at_once: bool) -> None: ...


def run(
    recipe: RecipeLike | Iterable[str | Path],
    *,
    settings: Iterable[str] = (),
    workspace: Path | str | None = None,
    start: str | None = None,
    force: Collection[str] = (),
    only: Iterable[str] = (),
    watcher: Watcher | None = None,
) -> RunResult:
    """Run what is new and reuse what is not. Raises the BurnishError of the step that failed.

    `settings` are `step.field=value`; `start` runs that step and all that stand on it anew; `force` the
    named steps ("*" for all); `only` the named steps and what they need.
    """
    place = Workspace.find(workspace)
    return execute(make_plan(as_recipe(recipe, settings), place, start=start, force=force, only=only), place, watcher)


def run_stage(
    name: str,
    *,
    files: Iterable[str | Path] = (),
    settings: Iterable[str] = (),
    workspace: Path | str | None = None,
    force: bool = False,
    watcher: Watcher | None = None,
    **values: Any,
) -> StepResult:
    """Run one stage by itself: `run_stage("sft", base="builtin:pocket", data="file:rows.jsonl")`."""
    place = Workspace.find(workspace)
    plan = make_plan(stage_recipe(name, files, settings, values), place, force=("*",) if force else ())
    return execute(plan, place, watcher)[name]


def execute(plan: Plan, workspace: Workspace, watcher: Watcher | None = None) -> RunResult:
    """Carry out a plan, step by step, each in a worker process."""
    listener = watcher or Quiet()
    for step in plan.steps:
        if step.run is not None and step.action == "resume" and step.run.is_alive():
            raise _busy(step, step.run)
    number = workspace.claim_number(plan.recipe.name)
    with workspace.lock_of(plan.recipe.name, number):
        return _execute(plan, number, workspace, listener)


def _busy(step: PlannedStep, run: Run) -> RunError:
    return RunError(
        "run.busy",
        f"step '{step.step.name}' is in progress in another process (run {run.name})",
        f"wait for it, follow it (burnish runs tail {run.name} --follow), or stop it (burnish runs stop {run.name})",
    )


def _execute(plan: Plan, number: int, workspace: Workspace, listener: Watcher) -> RunResult:
    runs = {step.step.name: step.run or workspace.run(plan.recipe.name, number, step.step.name) for step in plan.steps}
    folder = workspace.runs / plan.recipe.name / str(number)
    steps = [
        {**step.as_dict(), "folder": runs[step.step.name].name, "run": runs[step.step.name].name} for step in plan.steps
    ]
    try:
        workspace.record_plan(plan.recipe.name, number, {**plan.as_dict(), "steps": steps})
    except OSError:  # a full disk: leave no number without a plan
        shutil.rmtree(folder, ignore_errors=True)
        raise
    listener.began(plan, number, folder)
    result = RunResult(plan.recipe.name, number)
    for step in plan.steps:
        current = runs[step.step.name]
        if step.action != "reuse":
            _do(step, current, plan, number, runs, listener, workspace)
        else:
            listener.step_began(step, current)
            listener.step_ended(step, current)
        artifact = current.artifact()
        if artifact is None:
            raise error_of(current)
        result.steps[step.step.name] = StepResult(step.step.name, step.action, current, artifact)
    return result


def error_of(run: Run) -> BurnishError:
    """The error that ended a run, as it was raised in the worker."""
    record = run.record.get("error")
    if record is None:
        return RunError("run.failed", f"run {run.name} ended without an artifact", f"see {run.log}")
    return error_from_dict(record)


def _do(
    step: PlannedStep, run: Run, plan: Plan, number: int, runs: dict[str, Run], listener: Watcher, workspace: Workspace
) -> None:
    if step.action == "run":
        run.create(_job(step, plan.recipe.name, number, runs, workspace))
    offset = (run.folder / "events.jsonl").stat().st_size
    listener.step_began(step, run)
    launcher = LocalLauncher()
    with _Interrupts() as interrupts:
        process = launcher.start(run)
        try:
            while True:
                status = launcher.poll(process, run)
                for event, position in run.events.read(offset):
                    offset = position
                    listener.heard(step, event)
                if status is not None:
                    break
                for at_once in interrupts.new():
                    launcher.stop(process, at_once=at_once)
                    listener.stopping(at_once)
                time.sleep(_POLL_SECONDS)
        except BaseException:  # the listener failed: nobody would watch the worker any more
            launcher.stop(process, at_once=True)
            process.wait()
            launcher.poll(process, run)
            raise
    listener.step_ended(step, run)
    if status == BUSY:
        raise _busy(step, run)


class _Interrupts:
    """Counts Ctrl-C while a worker runs, so that it never strikes halfway: the first asks, the next end.

    Python gives signals to the main thread alone; in another one nothing is counted.
    """

    def __init__(self) -> None:
        self._count = self._told = 0
        self._counts_here = threading.current_thread() is threading.main_thread()

    def __enter__(self) -> "_Interrupts":
        if self._counts_here:
            self._before = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        if self._counts_here:
            signal.signal(signal.SIGINT, self._before)

    def _ask(self, number: int, frame: object) -> None:
        self._count += 1

    def new(self) -> Iterator[bool]:
        """For each Ctrl-C since the last look: whether the worker should end at once."""
        while self._told < self._count:
            self._told += 1
            yield self._told > 1


def _job(step: PlannedStep, recipe: str, number: int, runs: dict[str, Run], workspace: Workspace) -> dict[str, Any]:
    inputs: dict[str, Input] = {}
    for path, value in step.inputs.items():
        artifact = runs[value.ref[5:]].artifact() if value.ref.startswith("step:") else None
        inputs[path] = artifact.as_input(value.ref) if artifact is not None else value
    return {
        "recipe": recipe,
        "number": number,
        "step": step.step.name,
        "stage": step.step.stage.name,
        "fingerprint": step.fingerprint,
        "spec": step.step.spec.model_dump(mode="json", exclude_unset=True),
        "inputs": {path: value.to_json(workspace.root) for path, value in inputs.items()},
    }
