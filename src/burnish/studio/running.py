"""Run a recipe: reuse what is there, do the rest in worker processes, and tell a watcher what happens."""

import errno
import shutil
import time
from collections.abc import Callable, Collection, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock, Timeout

from burnish.core.context import Input
from burnish.core.errors import BurnishError, RunError, error_from_dict
from burnish.core.events import Event, Note
from burnish.core.plan import Plan, PlannedStep, make_plan, replan_step, with_own_base
from burnish.core.runs.artifact import Artifact
from burnish.core.runs.run import Run
from burnish.core.runs.workspace import Workspace
from burnish.jobs.local import BUSY, LocalLauncher
from burnish.studio.asking import RecipeLike, as_recipe, stage_recipe
from burnish.studio.stopping import StopRequests, interrupted, interruptible_planning

_POLL_SECONDS, _LOOK_SECONDS = 0.05, 0.2
_CLOSED_OUTPUT = (errno.EPIPE, errno.EIO, errno.EBADF)


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
        """The artifact's folder. RunError `run.damaged-artifact` when its files are not those that the step wrote."""
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
    def waiting(self, step: PlannedStep, run: Run) -> None: ...


class Quiet:
    """A watcher that says nothing: the default in Python."""

    def began(self, plan: Plan, number: int, folder: Path) -> None: ...
    def step_began(self, step: PlannedStep, run: Run) -> None: ...
    def heard(self, step: PlannedStep, event: Event) -> None: ...
    def step_ended(self, step: PlannedStep, run: Run) -> None: ...
    def stopping(self, at_once: bool) -> None: ...
    def waiting(self, step: PlannedStep, run: Run) -> None: ...


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
    with interruptible_planning():
        plan = make_plan(as_recipe(recipe, settings), place, start=start, force=force, only=only)
    return execute(plan, place, watcher)


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
    with interruptible_planning():
        plan = make_plan(stage_recipe(name, files, settings, values), place, force=("*",) if force else ())
    return execute(plan, place, watcher)[name]


def execute(plan: Plan, workspace: Workspace, watcher: Watcher | None = None) -> RunResult:
    """Carry out a plan, step by step, each in a worker process.

    Of several processes that want the same step, one does it and the others wait for its result.
    """
    number = workspace.claim_number(plan.recipe.name)
    with (
        workspace.lock_of(plan.recipe.name, number),
        StopRequests(workspace.stop_file(plan.recipe.name, number)) as stops,
    ):
        return _Execution(plan, number, workspace, watcher or Quiet(), stops).carry_out()


def error_of(run: Run) -> BurnishError:
    """The error that ended a run, as it was raised in the worker."""
    record = run.record.get("error")
    if record is None:
        return RunError("run.failed", f"run {run.name} ended without an artifact", f"see {run.log}")
    return error_from_dict(record)


class _Execution:
    """One run of a plan. A watcher that fails stops the run as Ctrl-C does, and its error is raised at the end."""

    def __init__(self, plan: Plan, number: int, workspace: Workspace, watcher: Watcher, stops: StopRequests):
        self._plan, self._number, self._workspace, self._stops = plan, number, workspace, stops
        self._watcher = watcher
        self._watcher_error: Exception | None = None
        self._created = time.time()
        self._result = RunResult(plan.recipe.name, number)
        self._steps = {step.step.name: step for step in plan.steps}
        self._runs = {name: self._folder_of(step) for name, step in self._steps.items()}

    def carry_out(self) -> RunResult:
        folder = self._workspace.runs / self._plan.recipe.name / str(self._number)
        try:
            self._workspace.record_plan(self._plan.recipe.name, self._number, self._record())
        except OSError:  # a full disk: leave no number without a plan
            shutil.rmtree(folder, ignore_errors=True)
            raise
        self._tell(lambda: self._watcher.began(self._plan, self._number, folder))
        for name, step in self._steps.items():
            self._result.steps[name] = self._step(step)
        if self._watcher_error is not None:
            raise self._watcher_error
        return self._result

    def _step(self, planned: PlannedStep) -> StepResult:
        name = planned.step.name
        if planned.action == "reuse":
            self._show_reused(planned)
        else:
            with self._turn(planned) as step:
                self._now(step)
                if step.action == "reuse":
                    self._show_reused(step)
                else:
                    self._do(step, self._runs[name])
        run = self._runs[name]
        artifact = run.artifact()
        if artifact is None:
            error = error_of(run)
            raise self._interrupted(name, run) if error.code == "run.interrupted" else error
        return StepResult(name, self._steps[name].action, run, artifact)

    def _show_reused(self, step: PlannedStep) -> None:
        run = self._runs[step.step.name]
        self._tell(lambda: self._watcher.step_began(step, run))
        self._tell(lambda: self._watcher.step_ended(step, run))

    @contextmanager
    def _turn(self, step: PlannedStep) -> Generator[PlannedStep]:
        """Wait until no other process does this step, and keep others waiting; gives the step as it stands then.

        The lock dies with its holder. The worker of a killed holder may still be saving: it is waited for as well.
        """
        lock = self._workspace.step_lock(step.fingerprint)
        try:
            while True:
                if self._stops.asked:
                    raise self._interrupted(step.step.name)
                is_ours = lock.is_locked or _is_taken(lock)
                if step.is_forced:
                    break
                step = replan_step(step, self._workspace)
                if is_ours and not step.is_in_progress:
                    break
                self._wait(step, lock)
            yield step
        finally:
            lock.release()

    def _wait(self, step: PlannedStep, lock: FileLock) -> None:
        """Until the step's lock is ours, or the run in progress has ended; the run is named when it is known."""
        other = step.run if step.is_in_progress else None
        if other is None:
            time.sleep(_LOOK_SECONDS)
            return
        if self._steps[step.step.name].action != "wait":
            self._now(replace(step, action="wait"))
            self._tell(lambda: self._watcher.waiting(step, other))
        while not self._stops.asked:
            if not lock.is_locked and _is_taken(lock):
                return
            if lock.is_locked and not other.is_alive():
                return
            time.sleep(_LOOK_SECONDS)

    def _do(self, step: PlannedStep, run: Run) -> None:
        """Start a worker and watch it to its end."""
        if step.action == "run":
            run.create(self._job(step))
        else:
            run.refuse_misplaced_logs()
            run.update_job(self._job(step))
        offset = run.events.path.stat().st_size if run.events.path.exists() else 0
        if not offset:
            text = f"{run.events.path} was missing: what this step said before is lost, and a new log begins"
            run.events.append(Note(level="warning", text=text))
        self._tell(lambda: self._watcher.step_began(step, run))
        launcher = LocalLauncher()
        process = launcher.start(run)
        try:
            while True:
                status = launcher.poll(process, run)
                for event, position in run.events.read(offset):
                    offset = position
                    self._tell(lambda event=event: self._watcher.heard(step, event))
                if status is not None:
                    break
                for at_once in self._stops.new():
                    launcher.stop(process, at_once=at_once)
                    self._tell(lambda at_once=at_once: self._watcher.stopping(at_once))
                time.sleep(_POLL_SECONDS)
        except BaseException:  # nobody would watch the worker any more
            launcher.stop(process, at_once=True)
            process.wait()
            launcher.poll(process, run)
            raise
        self._tell(lambda: self._watcher.step_ended(step, run))
        if status == BUSY:
            raise _busy(step, run)

    def _tell(self, word: Callable[[], None]) -> None:
        if self._watcher_error is not None:
            return
        try:
            word()
        except Exception as error:
            self._watcher_error = error
            self._stops.ask_once()

    def _interrupted(self, name: str, run: Run | None = None) -> Exception:
        """The error of the stopped run: the watcher's own where that was the cause, unless its output was closed."""
        error = self._watcher_error
        if error is not None and not (isinstance(error, OSError) and error.errno in _CLOSED_OUTPUT):
            return error
        why = "" if error is None else "the output was closed"
        stopped = interrupted(self._result.name, self._result.steps, name, run, why)
        stopped.__cause__ = error
        return stopped

    def _folder_of(self, step: PlannedStep) -> Run:
        return step.run or self._workspace.run(self._plan.recipe.name, self._number, step.step.name)

    def _now(self, step: PlannedStep) -> None:
        """Keep what has become of a step since the plan was made, in plan.json too."""
        name = step.step.name
        if step != self._steps[name]:
            self._steps[name], self._runs[name] = step, self._folder_of(step)
            self._workspace.update_plan(self._plan.recipe.name, self._number, self._record())

    def _record(self) -> dict[str, Any]:
        folders = {name: run.name for name, run in self._runs.items()}
        steps = [
            {**step.as_dict(), "folder": folders[name], "run": folders[name]} for name, step in self._steps.items()
        ]
        return {**self._plan.as_dict(), "created": self._created, "steps": steps}

    def _job(self, step: PlannedStep) -> dict[str, Any]:
        inputs: dict[str, Input] = {}
        for path, value in step.inputs.items():
            artifact = self._runs[value.ref[5:]].artifact() if value.ref.startswith("step:") else None
            inputs[path] = with_own_base(artifact.as_input(value.ref), value.inputs) if artifact is not None else value
        return {
            "recipe": self._plan.recipe.name,
            "number": self._number,
            "step": step.step.name,
            "stage": step.step.stage.name,
            "fingerprint": step.fingerprint,
            "spec": step.step.spec.model_dump(mode="json", exclude_unset=True),
            "inputs": {path: value.to_json(self._workspace.root) for path, value in inputs.items()},
        }


def _is_taken(lock: FileLock) -> bool:
    """Try to take a lock; it is ours, or another's."""
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return False
    return True


def _busy(step: PlannedStep, run: Run) -> RunError:
    return RunError(
        "run.busy",
        f"step '{step.step.name}' is in progress in another process (run {run.name})",
        f"wait for it, follow it (burnish runs tail {run.name} --follow), or stop it (burnish runs stop {run.name})",
    )
