"""Trackio: its local database, or the server or Space that its environment names."""

from importlib import import_module
from typing import Any

from burnish.train.trackers.base import PROJECT, Point, State, TrackedRun


class Trackio:
    """A resumed run continues the run of its name, which ends in the run's id: Trackio resumes by name."""

    def __init__(self, run: TrackedRun):
        trackio = import_module("trackio")
        self._level = trackio.AlertLevel.ERROR
        self._run = trackio.init(
            project=PROJECT,
            name=f"{run.name}-{run.id[:6]}",
            config=dict(run.settings),
            resume="allow",
            embed=False,
        )
        self._is_local = trackio.context_vars.current_server.get() is None
        self._held = _held(self._run) if self._is_local else set[tuple[int, str]]()
        self._next_step: int = 0 if self._is_local else self._run._next_step  # reported by the server for a resumed run

    def holds(self, step: int, name: str) -> bool:
        return (step, name) in self._held or step < self._next_step

    def log(self, point: Point) -> None:
        self._run.log(dict(point.values), step=point.step)

    def close(self, state: State, error: str) -> None:
        if error:  # Trackio has no states
            self._run.alert(title=state, text=error, level=self._level)
        self._run.finish()


def _held(run: Any) -> set[tuple[int, str]]:
    """The steps and metrics of a run in the local database."""
    storage = import_module("trackio.sqlite_storage").SQLiteStorage
    logs = storage.get_logs(run.project, run.name, run_id=run.id)
    return {(log["step"], name) for log in logs for name in log if name not in ("step", "timestamp")}
