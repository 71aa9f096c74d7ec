"""Every tracker, run for real and without a network: a run that was killed and resumed is read back from what it wrote.

A package that is not installed skips its tests; `make trackers` installs all of them. Each attempt is a fork, which
keeps the packages out of the test process and can be killed.
"""

import contextlib
import json
import math
import os
import signal
import struct
import sys
import traceback
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from burnish.core.errors import RunError
from burnish.core.events import Metric
from burnish.train.loop import Loop
from burnish.train.trackers.tracking import TRACKERS, Tracking


@dataclass
class Found:
    """What a tracker holds of one run. `steps` are those of each metric, as often as they are stored."""

    runs: int
    name: str
    settings: dict[str, Any]
    state: str
    points: dict[str, list[tuple[int, float]]] = field(default_factory=dict)

    def add(self, name: str, step: int, value: float) -> None:
        self.points.setdefault(name, []).append((step, value))

    def steps(self, name: str) -> list[int]:
        return [step for step, _ in self.points[name]]


def of_tensorboard(files: Path, store: Path) -> Found:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    kept = EventAccumulator(str(files))
    kept.Reload()
    texts = {tag: kept.Tensors(tag)[-1].tensor_proto.string_val[0].decode() for tag in kept.Tags()["tensors"]}
    name, _, settings = texts["settings/text_summary"].strip("`\n").partition(": ")
    state = texts.get("end/text_summary", "finished").partition(":")[0]
    found = Found(len(list(files.glob("events*"))), name, eval(settings), state)
    for tag in kept.Tags()["scalars"]:
        for point in kept.Scalars(tag):
            found.add(tag, point.step, point.value)
    return found


def of_wandb(files: Path, store: Path) -> Found:
    from wandb.proto import wandb_internal_pb2

    logs = list(files.glob("wandb/offline-run-*/run-*.wandb"))
    found = Found(len(logs), "", {}, "killed")
    for data in _level_db_records(logs[0].read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        match record.WhichOneof("record_type"):
            case "run":
                found.name = record.run.display_name
                found.settings = {item.key: json.loads(item.value_json) for item in record.run.config.update}
            case "history":
                items = {".".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
                for name, value in items.items():
                    found.add(name, record.history.step.num, float(value))
            case "exit":
                found.state = "failed" if record.exit.exit_code else "finished"
    return found


def _level_db_records(data: bytes):
    """The records of wandb's log: blocks of 32 KiB; a header of checksum, length and kind before each part."""
    position, record = 7, b""
    while position + 7 <= len(data):
        left = 32768 - position % 32768
        if left < 7:
            position += left
            continue
        _, length, kind = struct.unpack("<IHB", data[position : position + 7])
        record += data[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield record
            record = b""


def of_swanlab(files: Path, store: Path) -> Found:
    from swanlab.sdk.internal.core_python.store import DataStoreReader
    from swanlab.sdk.internal.core_python.sync import Record

    logs = list(files.glob("run-*/run-*.swanlab"))
    found, reader = Found(len(logs), "", {}, "killed"), DataStoreReader()
    reader.open(logs[0])
    for data in reader:
        record = Record()
        record.ParseFromString(data)
        if record.HasField("start"):
            found.name, found.settings = record.start.name, json.loads(record.start.description)
        elif record.HasField("scalar"):
            found.add(record.scalar.key, record.scalar.step, record.scalar.value.number)
        elif record.HasField("finish"):
            found.state = {1: "finished", 2: "failed", 3: "stopped"}[record.finish.state]
    return found


def of_trackio(files: Path, store: Path) -> Found:
    from trackio.sqlite_storage import SQLiteStorage

    runs = SQLiteStorage.get_run_records("burnish")
    name, run_id = runs[0]["name"], runs[0]["id"]
    alerts = SQLiteStorage.get_alerts("burnish", run_name=name)
    found = Found(
        len(runs),
        name.rpartition("-")[0],
        SQLiteStorage.get_run_config("burnish", name, run_id=run_id),
        alerts[0]["title"] if alerts else "finished",
    )
    for log in SQLiteStorage.get_logs("burnish", name, run_id=run_id):
        for key in log.keys() - {"step", "timestamp"}:
            found.add(key, log["step"], float(log[key]))
    return found


def of_mlflow(files: Path, store: Path, uri: str | None = None) -> Found:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri or f"file:{store}")
    (experiment,) = [one for one in client.search_experiments() if one.name == "burnish"]
    runs = client.search_runs([experiment.experiment_id])
    info, data = runs[0].info, runs[0].data
    state = {"FINISHED": "finished", "KILLED": "stopped", "FAILED": "failed"}[info.status]
    found = Found(len(runs), info.run_name, dict(data.params), state)
    for name in data.metrics:
        for metric in client.get_metric_history(info.run_id, name):
            found.add(name, metric.step, metric.value)
    return found


READERS = {
    "tensorboard": of_tensorboard,
    "wandb": of_wandb,
    "swanlab": of_swanlab,
    "trackio": of_trackio,
    "mlflow": of_mlflow,
}


def test_every_tracker_is_read_back():
    assert READERS.keys() == TRACKERS.keys()


@pytest.fixture(params=READERS)
def tracker(request, tmp_path, monkeypatch) -> str:
    """The name of an installed tracker that can reach no network and stores into `tmp_path / "store"`."""
    from importlib.util import find_spec

    if find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    for name in [name for name in os.environ if name.startswith(("WANDB_", "SWANLAB_", "TRACKIO_", "MLFLOW_"))]:
        monkeypatch.delenv(name)
    for name in ("HOME", "HF_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))  # no login of the person who runs the tests
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "store"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file:{tmp_path / 'store'}")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # for the reader; the run sets it itself
    return request.param


def forked(work, folder: Path) -> int:
    """Run `work` in a fork of this process; gives its exit status, or minus the signal that ended it."""
    report = folder / "error.txt"
    child = os.fork()
    if child == 0:
        sys.stdout = sys.stderr = (folder / "printed.txt").open("a")
        warnings.resetwarnings()
        try:
            work()
            status = 0
        except BaseException:
            report.write_text(traceback.format_exc())
            status = 1
        finally:
            sys.stdout.flush()
        os._exit(status)
    _, ended = os.waitpid(child, 0)
    if os.WIFSIGNALED(ended):
        return -os.WTERMSIG(ended)
    assert os.WEXITSTATUS(ended) == 0, report.read_text()
    return 0


def read_back(tracker: str, tmp_path: Path, files: Path) -> Found:
    kept = tmp_path / "found.json"
    forked(lambda: kept.write_text(json.dumps(vars(READERS[tracker](files, tmp_path / "store")))), tmp_path)
    found = Found(**json.loads(kept.read_text()))
    found.points = {name: [(step, value) for step, value in points] for name, points in found.points.items()}
    return found


def test_a_killed_and_resumed_run_is_one_finished_run_with_every_step_once(
    tracker, run_fit, random_rows, tmp_path, monkeypatch
):
    settings = {"track": [tracker], "max_steps": 8, "eval_every": 3, "checkpoint": {"every": 2}}
    steps = Loop._step

    def killed_in_step_6(loop):
        steps(loop)
        if loop.state.step == 6:
            os.kill(os.getpid(), signal.SIGKILL)

    def killed():
        monkeypatch.setattr(Loop, "_step", killed_in_step_6)
        run_fit("run", held_out=random_rows(4), **settings)

    def resumed():
        ran = run_fit("run", held_out=random_rows(4), **settings)
        warned = ran.notes("warning")
        metrics = {name: ran.metrics(name) for name in ("loss", "eval_loss")}
        (tmp_path / "ran.json").write_text(json.dumps({"warned": warned, "metrics": metrics}))

    assert forked(killed, tmp_path) == -signal.SIGKILL
    assert forked(resumed, tmp_path) == 0
    ran = json.loads((tmp_path / "ran.json").read_text())
    assert ran["warned"] == []
    found = read_back(tracker, tmp_path, tmp_path / "run/out/trackers" / tracker)
    assert found.runs == 1
    assert found.name == "-".join((tmp_path / "run").parts[-3:])
    assert "0.01" in str(found.settings["learning_rate"])
    assert found.steps("loss") == found.steps("learning_rate") == [1, 2, 3, 4, 5, 6, 7, 8]
    assert found.steps("eval_loss") == [3, 6, 8]
    last = [value for _, value in found.points["loss"]][-len(ran["metrics"]["loss"]) :]
    assert last == [pytest.approx(value) for value in ran["metrics"]["loss"]]
    assert found.state == "finished"


def test_a_failed_run_is_marked_and_numbers_that_are_not_finite_are_stored(tracker, tmp_path):
    error = RunError("run.failed", "the machine is on fire", "leave the building")
    forked(lambda: track(tracker, tmp_path, {1: 2.5, 2: math.nan, 3: math.inf, 4: 1.5}, error=error), tmp_path)
    found = read_back(tracker, tmp_path, tmp_path / "trackers/files" / tracker)
    assert found.state == "failed"
    assert found.steps("loss") == [1, 2, 3, 4]
    values = [value for _, value in found.points["loss"]]
    assert math.isnan(values[1])
    assert values[0] == 2.5
    assert values[2] > 1e300
    assert values[3] == 1.5


def test_a_stopped_run_continues_as_the_same_run(tracker, tmp_path):
    error = RunError("run.interrupted", "stopped", "run it again")
    forked(lambda: track(tracker, tmp_path, {1: 1.0, 2: 0.5, 3: 0.25}, error=error), tmp_path)
    files = tmp_path / "trackers/files" / tracker
    found = read_back(tracker, tmp_path, files)
    assert found.state == ("failed" if tracker == "wandb" else "stopped")  # wandb knows an exit status
    assert found.steps("loss") == [1, 2, 3]
    forked(lambda: track(tracker, tmp_path, {3: 0.25, 4: 0.125, 5: 0.0}, after=2), tmp_path)
    found = read_back(tracker, tmp_path, files)
    assert found.runs == 1
    assert found.points["loss"] == [(1, 1.0), (2, 0.5), (3, 0.25), (4, 0.125), (5, 0.0)]
    assert found.state == "finished" or tracker == "trackio"  # there the alert of the stop stays


def test_mlflow_stores_beside_the_command_where_no_store_is_named(tmp_path, monkeypatch):
    pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    forked(lambda: track("mlflow", tmp_path, {1: 1.0, 2: 0.5}), tmp_path)
    uri = json.loads((tmp_path / "trackers/private/mlflow.json").read_text())["uri"]
    assert uri in (f"sqlite:///{tmp_path}/mlflow.db", f"file:{tmp_path}/mlruns")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)  # a resumed run stays in the store that it began in
    forked(lambda: track("mlflow", tmp_path, {2: 0.5, 3: 0.25}, after=1), tmp_path)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    found = tmp_path / "found.json"
    forked(lambda: found.write_text(json.dumps(vars(of_mlflow(tmp_path, tmp_path, uri)))), tmp_path)
    assert json.loads(found.read_text())["points"]["loss"] == [[1, 1.0], [2, 0.5], [3, 0.25]]


def track(tracker: str, tmp_path: Path, losses: dict[int, float], after: int = 0, error: Exception | None = None):
    """One attempt: a loss for each step, then the error. A warning fails it."""
    with (
        contextlib.suppress(RunError),
        Tracking([tracker], tmp_path / "trackers", "one", {"seed": 0}, _refuse_warnings, step=after) as tracking,
    ):
        for step, loss in losses.items():
            tracking.emit(Metric(step=step, values={"loss": loss}))
        if error is not None:
            raise error


def _refuse_warnings(event):
    assert getattr(event, "level", "info") != "warning", event.text
