"""Run the steps of a plan, each in a worker process: exclusively, resumed or reused where that is possible."""

import errno
import shutil
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from burnish.core.catalog import needs_torch
from burnish.core.context import Input
from burnish.core.errors import BurnishError, RunError, error_from_dict
from burnish.core.events import Note
from burnish.core.inputs.reuse import with_own_base
from burnish.core.plan import Plan, PlannedStep, replan_step
from burnish.core.runs.gates import refuse_failed
from burnish.core.runs.records import is_there
from burnish.core.runs.run import FencedError, Run
from burnish.core.runs.workspace import Workspace
from burnish.jobs.environment import worker_environment
from burnish.jobs.forkserver import ForkServer, shared_server
from burnish.jobs.launchers.local import LocalLauncher
from burnish.jobs.launchers.protocol import BUSY, Launcher
from burnish.studio.executing.results import RunResult, StepResult, Watcher
from burnish.studio.executing.stopping import StopRequests, interrupted
from burnish.studio.registry.pushing import push_artifact
from burnish.studio.registry.versions import Say, register_artifact

_POLL_SECONDS, _WAIT_SECONDS = 0.05, 0.2
_CLOSED_OUTPUT = (errno.EPIPE, errno.EIO, errno.EBADF)


def error_of(run: Run) -> BurnishError:
    """The error that ended a run in its worker."""
    record = run.record.get("error")
    if record is None:
        return RunError("run.failed", f"run {run.name} ended without an artifact", f"see {run.log}")
    return error_from_dict(record)


class Execution:
    """One run of a plan, or of one of its steps.

    An exception in a watcher stops the run like Ctrl-C and is raised at the end.
    """

    def __init__(
        self,
        plan: Plan,
        number: int,
        workspace: Workspace,
        watcher: Watcher,
        stops: StopRequests,
        launcher: Launcher | None = None,
        fence: int | None = None,
    ):
        """`launcher` starts the workers: by default on this machine. `fence` is that of a job's lease: a worker whose
        job has a newer one, or that another job has taken over, gives no artifact."""
        self._plan, self._number, self._workspace, self._stops = plan, number, workspace, stops
        self._watcher, self._launcher, self._fence = watcher, launcher, fence
        self._watcher_error: Exception | None = None
        self._result = RunResult(plan.recipe.name, number)
        self._steps = {step.step.name: step for step in plan.steps}
        self._runs = {name: self._folder_of(step) for name, step in self._steps.items()}

    def run(self) -> RunResult:
        """Run all steps, one after the other."""
        folder = self.record()
        self._notify(lambda: self._watcher.on_run_start(self._plan, self._number, folder))
        for name in self._steps:
            self._result.steps[name] = self.perform(name)
        return self._result

    def record(self) -> Path:
        """Record the plan of a new run; returns its folder."""
        name = self._plan.recipe.name
        folder = self._workspace.runs / name / str(self._number)
        steps = [self._record_of(step) for step in self._steps]
        try:
            self._workspace.record_plan(name, self._number, {**self._plan.as_dict(), "steps": steps})
        except OSError:  # such as a full disk: leave no run without a plan
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return folder

    def jobs(self) -> dict[str, dict[str, Any]]:
        """What the worker of each step gets, as far as it is known before the steps that it needs have run."""
        return {name: self._job(step) for name, step in self._steps.items()}

    def perform(self, name: str) -> StepResult:
        """Run one step, after those that it needs."""
        result = self._step(self._steps[name])
        if self._watcher_error is not None:
            raise self._watcher_error
        return result

    def _step(self, planned: PlannedStep) -> StepResult:
        name = planned.step.name
        inputs = self._inputs_of(planned)
        is_as_planned = inputs == planned.inputs
        planned = replace(planned, inputs=inputs)
        if planned.action == "reuse" and is_as_planned and self._is_whole(self._runs[name]):
            self._report_reused(planned)
        else:  # also where the artifact was removed or damaged after the plan, or an input may be other files now
            with self._exclusive(planned) as step:
                self._update(step)
                if step.action == "reuse":
                    self._report_reused(step)
                else:
                    self._work(step, self._runs[name])
        run = self._runs[name]
        artifact = run.artifact()
        if artifact is None:
            error = error_of(run)
            raise self._interrupted(name, run) if error.code == "run.interrupted" else error
        result = StepResult(name, self._steps[name].action, run, artifact)
        say, place = self._teller(planned, run), self._workspace
        try:
            refuse_failed(name, artifact)
            result = replace(result, registered=register_artifact(artifact, planned.step.register, run, place, say))
            url = push_artifact(planned.step.spec, artifact, run, place, say, lambda: self._stops.requested)
            return replace(result, pushed=url)
        except BurnishError as error:
            error.result = replace(self._result, steps={**self._result.steps, name: result}).as_dict()
            raise

    def _is_whole(self, run: Run) -> bool:
        """Whether a run still has the artifact that it wrote; a job may start hours after its plan was made."""
        known = self._workspace.hashes()
        try:
            artifact = run.artifact()
            return artifact is not None and run.out.is_dir() and not artifact.damage(known)
        except BurnishError:  # a broken record
            return False

    def _teller(self, planned: PlannedStep, run: Run) -> Say:
        """Reports a note of a step that has ended, also in its events."""

        def say(text: str, level: Literal["info", "warning"] = "warning") -> None:
            note = Note(level=level, text=text)
            run.events.append(note)
            self._notify(lambda: self._watcher.on_event(planned, note))

        return say

    def _report_reused(self, step: PlannedStep) -> None:
        run = self._runs[step.step.name]
        self._notify(lambda: self._watcher.on_step_start(step, run))
        self._notify(lambda: self._watcher.on_step_end(step, run))

    @contextmanager
    def _exclusive(self, step: PlannedStep) -> Generator[PlannedStep]:
        """Hold the lock of a step, after waiting for other processes; yields the step, planned again.

        The lock is released when its holder dies. The worker of a killed holder may still be saving: wait for it too.
        """
        lock = self._workspace.step_lock(step.fingerprint)
        try:
            while True:
                if self._stops.requested:
                    raise self._interrupted(step.step.name)
                is_locked = lock.is_locked or _acquire(lock)
                if step.is_forced and not step.is_in_progress:
                    step = self._as_it_is_now(step)
                    break
                if not step.is_forced:
                    step = replan_step(step, self._workspace)
                    if is_locked and not step.is_in_progress:
                        break
                self._wait(step, lock)
            yield step
        finally:
            lock.release()

    def _as_it_is_now(self, step: PlannedStep) -> PlannedStep:
        """A forced step whose worker has finished it meanwhile is reused; one whose own artifact is damaged, or that
        was never begun, runs in the folder of this run, whatever the plan names."""
        if step.action != "run" and step.run is not None:
            if self._is_whole(step.run):
                return replace(step, action="reuse")
            if not is_there(step.run.folder / "artifact.json"):
                return replace(step, action="resume")
        return replace(step, action="run", run=None)

    def _wait(self, step: PlannedStep, lock: FileLock) -> None:
        """Wait until the lock is acquired or the run in progress has ended; report that run once it is known."""
        other = step.run if step.is_in_progress else None
        if other is None:
            time.sleep(_WAIT_SECONDS)
            return
        if self._steps[step.step.name].action != "wait":
            self._update(replace(step, action="wait"))
            self._notify(lambda: self._watcher.on_wait(step, other))
        while not self._stops.requested:
            if not lock.is_locked and _acquire(lock):
                return
            if lock.is_locked and not other.is_alive():
                return
            time.sleep(_WAIT_SECONDS)

    def _work(self, step: PlannedStep, run: Run) -> None:
        """Start a worker and report its events until it exits."""
        if step.action == "run":
            run.create_again(self._job(step)) if run.folder.exists() else run.create(self._job(step))
        else:
            run.refuse_misplaced_logs()
            run.update_job(self._job(step))
        offset = run.events.path.stat().st_size if run.events.path.exists() else 0
        if not offset:
            text = f"{run.events.path} was missing: earlier events of this step are lost"
            run.events.append(Note(level="warning", text=text))
        self._notify(lambda: self._watcher.on_step_start(step, run))
        launcher = self._launcher or LocalLauncher(self._server_for(step))
        process = launcher.start(run)
        try:
            while True:
                status = launcher.poll(process, run)
                for event, position in run.events.read(offset):
                    offset = position
                    self._notify(lambda event=event: self._watcher.on_event(step, event))
                if status is not None:
                    break
                for at_once in self._stops.new():
                    launcher.stop(process, at_once=at_once)
                    self._notify(lambda at_once=at_once: self._watcher.on_stop(at_once))
                launcher.pause(process, _POLL_SECONDS)
        except BaseException:  # the worker must not outlive this process
            launcher.stop(process, at_once=True)
            launcher.wait(process)
            launcher.poll(process, run)
            raise
        self._notify(lambda: self._watcher.on_step_end(step, run))
        if status == BUSY:
            raise _busy(step, run)
        if run.is_fenced:  # its artifact, if any, is another worker's, which also registers and pushes it
            raise FencedError(run.name, 0)

    def _server_for(self, step: PlannedStep) -> ForkServer | None:
        if not needs_torch(step.step.stage):
            return None
        planned = sum(other.action != "reuse" and needs_torch(other.step.stage) for other in self._plan.steps)
        return shared_server(worker_environment(), planned)

    def _notify(self, callback: Callable[[], None]) -> None:
        if self._watcher_error is not None:
            return
        try:
            callback()
        except Exception as error:
            self._watcher_error = error
            self._stops.request_once()

    def _interrupted(self, name: str, run: Run | None = None) -> Exception:
        """The error of a stopped run: the watcher's error if that was the cause, unless its output was closed."""
        error = self._watcher_error
        is_closed = isinstance(error, OSError) and (isinstance(error, BrokenPipeError) or error.errno in _CLOSED_OUTPUT)
        if error is not None and not is_closed:
            return error
        why = "" if error is None else "the output was closed"
        stopped = interrupted(self._result.name, self._result.steps, name, run, why)
        stopped.__cause__ = error
        return stopped

    def _folder_of(self, step: PlannedStep) -> Run:
        return step.run or self._workspace.run(self._plan.recipe.name, self._number, step.step.name)

    def _update(self, step: PlannedStep) -> None:
        """Record a step that changed since the plan was made, also in plan.json."""
        name = step.step.name
        if step != self._steps[name]:
            self._steps[name], self._runs[name] = step, self._folder_of(step)
            self._workspace.update_step(self._plan.recipe.name, self._number, self._record_of(name))

    def _record_of(self, name: str) -> dict[str, Any]:
        folder = self._runs[name].name
        return {**self._steps[name].as_dict(), "folder": folder, "run": folder}

    def _inputs_of(self, step: PlannedStep) -> dict[str, Input]:
        """The inputs of a step, with the artifacts of the steps before it."""
        inputs: dict[str, Input] = {}
        for path, value in step.inputs.items():
            artifact = self._runs[value.ref[5:]].artifact() if value.ref.startswith("step:") else None
            inputs[path] = with_own_base(artifact.as_input(value.ref), value.inputs) if artifact is not None else value
        return inputs

    def _job(self, step: PlannedStep) -> dict[str, Any]:
        return {
            "recipe": self._plan.recipe.name,
            "number": self._number,
            "step": step.step.name,
            "stage": step.step.stage.name,
            "fingerprint": step.fingerprint,
            "spec": step.step.spec.model_dump(mode="json", exclude_unset=True),
            "inputs": {path: value.to_json(self._workspace.root) for path, value in step.inputs.items()},
            **(
                {}
                if self._fence is None
                else {"fence": self._fence, "holder": f"{self._plan.recipe.name}/{self._number}/{step.step.name}"}
            ),
        }


def _acquire(lock: FileLock) -> bool:
    """Try to acquire a lock; False if another process holds it."""
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return False
    return True


def _busy(step: PlannedStep, run: Run) -> RunError:
    return RunError(
        "run.busy",
        f"step '{step.step.name}' is in progress in another process (run {run.name})",
        f"wait for it, follow it (burnish runs tail {run.name} --follow) or stop it (burnish runs stop {run.name})",
    )
