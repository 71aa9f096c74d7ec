"""SwanLab: online where the user is logged in, else offline in the run's folder."""

import json
import os
import shutil
from importlib import import_module
from typing import Any

from burnish.core.faults import reason
from burnish.train.trackers.base import PROJECT, Point, State, TrackedRun

_STATES = {"finished": "success", "stopped": "aborted", "failed": "crashed"}


class SwanLab:
    """An online run is resumed by its id. Offline, a resumed run is rewritten from the journal: one run to sync."""

    def __init__(self, run: TrackedRun):
        mode = os.environ.get("SWANLAB_MODE", "online")
        try:
            self._run = _start(run, mode)
        except Exception as error:
            if mode == "offline":
                raise
            run.report(f"no {mode} run ({reason(error)}); metrics are kept offline")
            mode, self._run = "offline", _start(run, "offline")
        if mode == "offline":
            run.report("offline; upload the run with: swanlab sync trackers/swanlab/run-*")

    def holds(self, step: int, name: str) -> bool:
        return False  # the client itself skips the steps of a metric that the server has

    def log(self, point: Point) -> None:
        self._run.log(dict(point.values), step=point.step)

    def close(self, state: State, error: str) -> None:
        self._run.finish(state=_STATES[state], error=error or None)


def _start(run: TrackedRun, mode: str) -> Any:
    shutil.rmtree(run.folder, ignore_errors=True)
    run.folder.mkdir(parents=True)
    resume = {"resume": "allow"} if mode == "online" else {}
    return import_module("swanlab").init(
        project=os.environ.get("SWANLAB_PROJ_NAME", PROJECT),
        name=run.name,
        id=run.id,
        description=json.dumps(run.settings),  # `swanlab sync` finds config.yaml only where the run wrote it
        config=dict(run.settings),
        mode=mode,
        log_dir=str(run.folder),
        **resume,
    )
