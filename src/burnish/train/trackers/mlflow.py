"""MLflow: the tracking server or store of MLFLOW_TRACKING_URI, else MLflow's own default beside the command."""

import os
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from burnish.train.trackers.base import PROJECT, Point, State, TrackedRun, flat

_DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # the package tries for minutes; a tracker is given up after two
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",  # seconds
}
_STATES = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}
_LONGEST_PARAM = 6000
_MOST_PARAMS = 100
"""Limit of one request on MLflow's servers."""


class MLflow:
    """A resumed run continues the run of its first attempt, in the same store."""

    def __init__(self, run: TrackedRun):
        for name, value in _DEFAULTS.items():
            os.environ.setdefault(name, value)
        known = run.recall()
        uri = os.environ.get("MLFLOW_TRACKING_URI") or known.get("uri") or _local_store()
        if uri.startswith("file:") or "://" not in uri:
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        self._client = import_module("mlflow").MlflowClient(tracking_uri=uri)
        self._held: set[tuple[int, str]] = set()
        if known.get("uri") == uri:
            self._id = known["run_id"]
            self._client.update_run(self._id, status="RUNNING")
            names = self._client.get_run(self._id).data.metrics
            self._held = {
                (metric.step, name) for name in names for metric in self._client.get_metric_history(self._id, name)
            }
            return
        self._id = self._create(run)
        run.remember(uri=uri, run_id=self._id)
        run.report(f"run {self._id} in {uri}")

    def holds(self, step: int, name: str) -> bool:
        return (step, name) in self._held

    def log(self, point: Point) -> None:
        metric, at = import_module("mlflow.entities").Metric, round(point.at * 1000)
        self._client.log_batch(
            self._id, metrics=[metric(name, value, at, point.step) for name, value in point.values.items()]
        )

    def close(self, state: State, error: str) -> None:
        if error:
            self._client.set_tag(self._id, "burnish.error", error)
        self._client.set_terminated(self._id, _STATES[state])

    def _create(self, run: TrackedRun) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        experiment = self._client.get_experiment_by_name(name)
        place = self._client.create_experiment(name) if experiment is None else experiment.experiment_id
        made: Any = self._client.create_run(place, run_name=run.name, tags={"burnish.id": run.id})
        param = import_module("mlflow.entities").Param
        params = [param(key, str(value)[:_LONGEST_PARAM]) for key, value in flat(run.settings).items()]
        for start in range(0, len(params), _MOST_PARAMS):
            self._client.log_batch(made.info.run_id, params=params[start : start + _MOST_PARAMS])
        return made.info.run_id


def _local_store() -> str:
    """The default of MLflow; its small package cannot use a database, and gets a folder."""
    if find_spec("sqlalchemy") is None:
        return f"file:{os.path.abspath('mlruns')}"
    return import_module("mlflow").get_tracking_uri()
