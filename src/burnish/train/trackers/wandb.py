"""Weights & Biases: online where the user is logged in, else offline in the run's folder."""

import os
import shutil
from importlib import import_module
from typing import Any

from burnish.core.faults import reason
from burnish.train.trackers.base import PROJECT, Point, State, TrackedRun

_DEFAULTS = {
    "WANDB_CONSOLE": "off",  # run.log has what the worker prints
    "WANDB_INIT_TIMEOUT": "30",  # seconds; without a network the package's own default waits for 90
    "WANDB_FINISH_TIMEOUT": "60",
    "WANDB_FINISH_TIMEOUT_RAISES": "true",
}


class Wandb:
    """An online run is resumed by its id. Offline, a resumed run is rewritten from the journal: one run to sync."""

    def __init__(self, run: TrackedRun):
        for name, value in _DEFAULTS.items():
            os.environ.setdefault(name, value)
        try:
            self._run = _start(run)
        except Exception as error:
            run.report(f"no online run ({reason(error)}); metrics are kept offline")
            self._run = _start(run, mode="offline")
        self._first_step = 0 if self._run.offline else self._run.starting_step
        if self._run.offline:
            run.report("offline; upload the run with: wandb sync trackers/wandb/wandb/offline-run-*")

    def holds(self, step: int, name: str) -> bool:
        return step < self._first_step

    def log(self, point: Point) -> None:
        self._run.log({**point.values, "_timestamp": point.at}, step=point.step)

    def close(self, state: State, error: str) -> None:
        if error:
            self._run.summary["burnish/error"] = error
        exit_code = 0 if state == "finished" else 1
        self._run.finish(exit_code=exit_code)
        import_module("wandb").teardown(exit_code)  # an offline run is on disk only once wandb's own process has ended


def _start(run: TrackedRun, **mode: str) -> Any:
    shutil.rmtree(run.folder, ignore_errors=True)
    run.folder.mkdir(parents=True)
    return import_module("wandb").init(
        project=os.environ.get("WANDB_PROJECT", PROJECT),
        name=run.name,
        id=run.id,
        resume="allow",
        config=dict(run.settings),
        allow_val_change=True,
        dir=str(run.folder),
        **mode,
    )
