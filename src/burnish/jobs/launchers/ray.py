"""Workers on a Ray cluster, by its Jobs API. Its machines see the workspace under the same path, and have burnish.

The worker of a step is a Ray job: `python -m burnish.jobs RUN_FOLDER`. It does not end with the process that started
it: the lock in its run folder says that it runs, and another process that wants the step waits for it.
"""

import contextlib
import os
import shlex
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any, cast

from burnish.core.catalog import needs_torch, stage
from burnish.core.errors import MachineError
from burnish.core.faults import reason
from burnish.core.runs.log import RunLog
from burnish.core.runs.run import Run
from burnish.jobs.environment import worker_environment
from burnish.jobs.launchers.endings import Ending, record_end

PYTHON = "BURNISH_RAY_PYTHON"
"""The environment variable with the Python of the cluster's machines, where it is not at the path of this one."""
_POLL_SECONDS = 1.0
_SILENT_SECONDS = 300.0
"""How long the cluster may not answer before a step has failed. Its worker goes on meanwhile."""
_STOP_SECONDS = 600
"""What a worker gets to save its state before Ray kills it."""
_PASSED = (
    *("BURNISH_CACHE", "BURNISH_KERNELS", "HF_", "PYTHONPATH", "OMP_", "MKL_", "TOKENIZERS_", "MPLBACKEND", "PYTORCH_"),
    *("WANDB_", "SWANLAB_", "MLFLOW_", "TRACKIO_"),
)
"""The beginnings of the variables of this process that its workers get, beside what their machine has, and the keys
that the settings of their step name. Who may use the cluster sees them: no other secret is among them."""


@dataclass
class _RayWorker:
    """A submitted job, and what is known of it."""

    id: str
    looked: float = 0.0
    answered: float = 0.0
    status: int | None = None
    was_terminated: bool = False
    is_told: bool = False
    """Whether the cluster knows that it is to stop."""
    log_start: int = 0


class RayLauncher:
    """Starts workers as jobs of a cluster: `ray://host:10001`, or `http://host:8265` of its dashboard.

    Errors: MachineError `machine.no-package` without ray, `machine.no-cluster` where none answers.
    """

    def __init__(self, address: str, gpus: float = 0.0):
        """`gpus` are reserved for each worker of a stage that may use one, beside one CPU."""
        self._address, self._gpus = address, gpus
        try:
            self._client: Any = import_module("ray.job_submission").JobSubmissionClient(address)
        except ModuleNotFoundError:
            what = f"steps on {address} need the package ray, which is not installed"
            raise MachineError("machine.no-package", what, "pip install 'burnish[ray]'") from None
        except Exception as error:  # ConnectionError, RuntimeError, and those of the cluster's client
            raise self._no_answer(error) from error

    def start(self, run: Run) -> _RayWorker:
        """Submit the worker of a run; its output goes to run.log, which this machine sees too."""
        gpus = self._gpus if needs_torch(stage(run.record["stage"])) else 0
        python = os.environ.get(PYTHON, sys.executable)
        command = shlex.join([python, "-P", "-m", "burnish.jobs", str(run.folder)])
        before = RunLog(run.log).end
        try:
            name = self._client.submit_job(
                entrypoint=f"exec {command} >> {shlex.quote(str(run.log))} 2>&1",
                entrypoint_num_cpus=1,
                entrypoint_num_gpus=gpus or None,
                metadata={"burnish": run.name},
                runtime_env={"env_vars": {**passed(run.job["spec"]), "RAY_JOB_STOP_WAIT_TIME_S": str(_STOP_SECONDS)}},
            )
        except Exception as error:
            raise self._no_answer(error) from error
        return _RayWorker(name, answered=time.monotonic(), log_start=before)

    def poll(self, process: _RayWorker, run: Run) -> int | None:
        """The exit status, or None while the worker waits or runs. Errors: those of `record_end`; MachineError
        `machine.no-cluster` if the cluster is silent for five minutes."""
        if process.status is None and time.monotonic() - process.looked > _POLL_SECONDS:
            self._look(process)
            process.looked = time.monotonic()
        with contextlib.suppress(OSError):  # the worker goes on without a rotation
            RunLog(run.log).rotate()
        ended = process.status is not None
        ending = Ending(process.status or 0, was_terminated=process.was_terminated, log_start=process.log_start)
        record_end(run, ending if ended else None)
        return process.status

    def pause(self, process: _RayWorker, seconds: float) -> None:
        """Wait for so many seconds: a cluster is asked only now and then."""
        time.sleep(seconds)

    def stop(self, process: _RayWorker, *, at_once: bool = False) -> None:
        """Tell the worker to save its state and exit. Ray kills it after ten minutes; it cannot be told to do so
        earlier."""
        process.was_terminated = True
        self._pass_on_stop(process)

    def wait(self, process: _RayWorker) -> None:
        """The worker is left to the cluster: its lock keeps others from its run folder."""

    def _pass_on_stop(self, process: _RayWorker) -> None:
        """Tell the cluster, unless it knows; one that does not answer is told again at the next look."""
        with contextlib.suppress(Exception):  # those of `requests` and of the cluster
            if not process.is_told:
                self._client.stop_job(process.id)
                process.is_told = True

    def _look(self, process: _RayWorker) -> None:
        if process.was_terminated:
            self._pass_on_stop(process)
        try:
            info = self._client.get_job_info(process.id)
        except Exception as error:
            if time.monotonic() - process.answered > _SILENT_SECONDS:
                raise self._no_answer(error) from error
            return
        process.answered = time.monotonic()
        if info.status.is_terminal():
            process.status = _status_of(info)

    def _no_answer(self, error: Exception) -> MachineError:
        fix = "check the address and RAY_AUTH_MODE, or start a cluster with a dashboard: ray start --head"
        what = f"on: {self._address}: the cluster does not answer: {reason(error)}"
        return MachineError("machine.no-cluster", what, fix)


def passed(spec: Any) -> dict[str, str]:
    """The variables that the worker of a step with these settings gets."""
    keys = set(_keys_in(spec))
    return {name: value for name, value in worker_environment().items() if name.startswith(_PASSED) or name in keys}


def _keys_in(value: Any) -> Iterator[str]:
    """The variables that settings name as `api_key_env`."""
    if isinstance(value, list):
        value = dict(enumerate(cast(list[Any], value)))
    if isinstance(value, dict):
        for name, member in cast(dict[Any, Any], value).items():
            if name == "api_key_env" and isinstance(member, str):
                yield member
            yield from _keys_in(member)


def _status_of(info: Any) -> int:
    """The exit status of an ended job; that of SIGTERM if it was stopped, of SIGKILL if its machine was lost."""
    if info.driver_exit_code is not None:
        return int(info.driver_exit_code)
    return {"SUCCEEDED": 0, "STOPPED": -signal.SIGTERM}.get(info.status.value, -signal.SIGKILL)
