"""Sends the metrics of a run to the trackers that `track` names.

A tracker never stops, delays or changes a training: it runs in a process of its own, and one that fails or does not
reply is reported and receives nothing more. A resumed run continues the run of its first attempt, without lost or
repeated steps, also in a tracker that was not named before.
"""

import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from burnish.core.errors import AskError, BurnishError, MachineError
from burnish.core.events import Event, Metric, Note
from burnish.core.faults import reason
from burnish.core.files import read_json, write_json
from burnish.core.paths import refuse_undecodable
from burnish.train.trackers.base import Point, State, TrackedRun
from burnish.train.trackers.journal import Journal
from burnish.train.trackers.sender import Sender

TRACKERS = {
    "tensorboard": "burnish.train.trackers.tensorboard:TensorBoard",
    "wandb": "burnish.train.trackers.wandb:Wandb",
    "swanlab": "burnish.train.trackers.swanlab:SwanLab",
    "trackio": "burnish.train.trackers.trackio:Trackio",
    "mlflow": "burnish.train.trackers.mlflow:MLflow",
}
"""The class of each tracker by its name in `track`, which is that of its package."""


def require(names: Sequence[str]) -> None:
    """MachineError `machine.no-package` for the first tracker whose package is not installed."""
    for name in names:
        if find_spec(name) is None:
            raise MachineError(
                "machine.no-package",
                f"track names {name}, but the package is not installed",
                f"pip install {name}, or remove {name} from track",
            )


class Tracking:
    """The open trackers of one attempt of a run; leaving its `with` block closes them.

    `step` is the step that the attempt resumes after, 0 for a start. If `continues` is False, the run is new to the
    trackers, regardless of earlier attempts in the same folder.
    """

    def __init__(
        self,
        names: Sequence[str],
        folder: Path,
        run_name: str,
        settings: Mapping[str, Any],
        emit: Callable[[Event], None],
        *,
        step: int = 0,
        continues: bool = True,
    ):
        self._files, self._emit = folder / "files", emit
        self._journal: Journal | None = None
        self._keeps = True
        self._senders: list[Sender] = []
        private = folder / "private"
        try:
            if not continues:
                shutil.rmtree(folder, ignore_errors=True)
            private.mkdir(parents=True, exist_ok=True)
            # kept without trackers too: a resumed run may name one
            self._journal = Journal(private / "metrics.jsonl", step)
            if self._journal.damaged:
                text = f"{private / 'metrics.jsonl'} is damaged"
                self._warn(f"{text}: trackers do not receive the metrics of {self._journal.damaged} of its lines")
            run_id = _identity(private / "run.json", self._warn) if names else ""
        except OSError as error:
            not_tracked = f", and the run is not tracked by {', '.join(names)}" if names else ""
            self._warn(f"metrics cannot be kept for a resumed run{not_tracked}: {reason(error)}")
            return
        for name in names:
            run = TrackedRun(
                run_id, run_name, settings, self._files / name, private / f"{name}.json", self._reporter(name)
            )
            self._senders.append(Sender(name, TRACKERS[name], run, self._journal.points, self._warn))

    def publish(self, folder: Path) -> None:
        """Copy the trackers' files into the artifact, once all are closed."""
        if not self._files.is_dir():
            return
        try:
            shutil.copytree(self._files, folder, ignore=_links)
            for file in folder.rglob("*"):
                refuse_undecodable(file, "a file of a tracker")
        except (OSError, AskError) as error:
            shutil.rmtree(folder, ignore_errors=True)
            self._warn(f"the files of trackers are not in the artifact: {reason(error)}")

    def emit(self, event: Event) -> None:
        """Pass an event on, and its metrics to every tracker."""
        self._emit(event)
        if not isinstance(event, Metric) or self._journal is None:
            return
        point: Point | None = Point(event.step, event.at, event.values)
        try:
            point = self._journal.add(point)
        except OSError as error:
            if self._keeps:
                self._warn(f"metrics cannot be kept for a resumed run: {reason(error)}")
            self._keeps = False
        if point is not None:
            for sender in self._senders:
                sender.send(point)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        state, text = _state_of(error)
        for sender in self._senders:
            sender.close(state, text)
        for sender in self._senders:
            sender.wait()

    def _reporter(self, name: str) -> Callable[[str], None]:
        return lambda text: self._emit(Note(text=f"{name}: {text}"))

    def _warn(self, text: str) -> None:
        self._emit(Note(level="warning", text=text))


def _identity(path: Path, warn: Callable[[str], None]) -> str:
    """The id of the run in every tracker, created by the first attempt: 16 lower-case hex digits."""
    try:
        return str(read_json(path)["id"])
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError, TypeError) as error:
        warn(f"{path} is damaged ({reason(error)}): to trackers the resumed run is a new one")
    made = uuid.uuid4().hex[:16]
    write_json(path, {"id": made})
    return made


def _state_of(error: BaseException | None) -> tuple[State, str]:
    if error is None:
        return "finished", ""
    if isinstance(error, BurnishError) and error.code == "run.interrupted":
        return "stopped", error.what
    return "failed", error.what if isinstance(error, BurnishError) else reason(error)


def _links(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if Path(folder, name).is_symlink()]
