"""What each tracker asks of its package, call by call; the packages are stand-ins that write down their calls.

The packages themselves are run by `test_packages.py` where they are installed.
"""

import json
import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from burnish.train.trackers import mlflow as mlflow_module
from burnish.train.trackers.base import Point, TrackedRun, flat
from burnish.train.trackers.mlflow import MLflow
from burnish.train.trackers.swanlab import SwanLab
from burnish.train.trackers.tensorboard import TensorBoard
from burnish.train.trackers.trackio import Trackio
from burnish.train.trackers.wandb import Wandb

SETTINGS = {"seed": 3, "method": {"kind": "lora", "rank": 8}, "none": {}}
VARIABLES = ("WANDB", "SWANLAB", "MLFLOW")


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    """No variable of a tracker; those that are set in a test are gone after it."""
    for name in [name for name in os.environ if name.startswith(VARIABLES)]:
        monkeypatch.delenv(name)
    before = dict(os.environ)
    yield
    for name in set(os.environ) - set(before):
        del os.environ[name]


@pytest.fixture
def run(tmp_path):
    reported = []
    made = TrackedRun(
        "0123456789abcdef", "mine-1-train", SETTINGS, tmp_path / "files", tmp_path / "memory.json", reported.append
    )
    return SimpleNamespace(facts=made, reported=reported)


class Calls:
    """Answers every call with None, or what is given for it, and keeps them."""

    def __init__(self, **answers):
        self.made, self.answers = [], answers

    def __getattr__(self, name):
        def call(*args, **named):
            self.made.append((name, args, named))
            answer = self.answers.get(name)
            return answer(*args, **named) if callable(answer) else answer

        return call

    def of(self, name):
        return [(args, named) for called, args, named in self.made if called == name]


def module(monkeypatch, name, **members):
    made = ModuleType(name)
    vars(made).update(members)
    monkeypatch.setitem(sys.modules, name, made)
    return made


def installed_wandb(monkeypatch, *, offline, starting_step=0, fails=False):
    session = Calls()
    session.offline, session.starting_step, session.summary = offline, starting_step, {}

    def init(**options):
        if fails and "mode" not in options:
            Path(options["dir"], "half").write_text("begun")
            raise ConnectionError("no route")
        session.made.append(("init", (), options))
        session.offline = session.offline or options.get("mode") == "offline"
        assert os.listdir(options["dir"]) == []
        return session

    module(monkeypatch, "wandb", init=init, teardown=lambda code: session.made.append(("teardown", (code,), {})))
    return session


def wandb_options(run, **more):
    options = {"project": "burnish", "name": "mine-1-train", "id": "0123456789abcdef", "resume": "allow"}
    return options | {"config": SETTINGS, "allow_val_change": True, "dir": str(run.facts.folder)} | more


def test_an_online_run_of_wandb_goes_on_at_its_step(monkeypatch, run):
    session = installed_wandb(monkeypatch, offline=False, starting_step=7)
    run.facts.folder.mkdir()
    (run.facts.folder / "old").write_text("of an earlier attempt")
    tracker = Wandb(run.facts)
    assert session.of("init") == [((), wandb_options(run))]
    assert [tracker.holds(step, "loss") for step in (6, 7, 8)] == [True, False, False]
    tracker.log(Point(8, 12.5, {"loss": 1.0, "lr": 0.5}))
    assert session.of("log") == [(({"loss": 1.0, "lr": 0.5, "_timestamp": 12.5},), {"step": 8})]
    tracker.close("finished", "")
    assert session.made[-2:] == [("finish", (), {"exit_code": 0}), ("teardown", (0,), {})]
    assert session.summary == {}
    assert run.reported == []
    defaults = {"CONSOLE": "off", "INIT_TIMEOUT": "30", "FINISH_TIMEOUT": "60", "FINISH_TIMEOUT_RAISES": "true"}
    assert {name: os.environ[f"WANDB_{name}"] for name in defaults} == defaults


@pytest.mark.parametrize("fails", [False, True])
def test_an_offline_run_of_wandb_is_written_anew(monkeypatch, run, fails):
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    monkeypatch.setenv("WANDB_INIT_TIMEOUT", "3")
    session = installed_wandb(monkeypatch, offline=not fails, starting_step=7, fails=fails)
    tracker = Wandb(run.facts)
    assert session.of("init") == [((), wandb_options(run, project="mine", **({"mode": "offline"} if fails else {})))]
    assert not tracker.holds(0, "loss")
    upload = "offline; upload the run with: wandb sync trackers/wandb/wandb/offline-run-*"
    told = ["no online run (ConnectionError: no route); metrics are kept offline"] if fails else []
    assert [text.replace("(no route)", "(ConnectionError: no route)") for text in run.reported] == [*told, upload]
    assert os.environ["WANDB_INIT_TIMEOUT"] == "3"
    for state in ("stopped", "failed"):
        tracker.close(state, "why")
        assert session.made[-2:] == [("finish", (), {"exit_code": 1}), ("teardown", (1,), {})]
    assert session.summary == {"burnish/error": "why"}


def installed_swanlab(monkeypatch, fails=()):
    session = Calls()

    def init(**options):
        session.made.append(("init", (), options))
        assert os.listdir(options["log_dir"]) == []
        if options["mode"] in fails:
            raise ConnectionError("not logged in")
        return session

    module(monkeypatch, "swanlab", init=init)
    return session


def swanlab_options(run, mode, **more):
    options = {"project": "burnish", "name": "mine-1-train", "id": "0123456789abcdef", "mode": mode}
    options |= {"description": json.dumps(SETTINGS), "config": SETTINGS, "log_dir": str(run.facts.folder)}
    return options | ({"resume": "allow"} if mode == "online" else {}) | more


OFFLINE = "offline; upload the run with: swanlab sync trackers/swanlab/run-*"


@pytest.mark.parametrize("mode", [None, "online", "offline", "local"])
def test_swanlab_is_started_in_the_mode_of_its_environment(monkeypatch, run, mode):
    if mode is not None:
        monkeypatch.setenv("SWANLAB_MODE", mode)
        monkeypatch.setenv("SWANLAB_PROJ_NAME", "mine")
    session = installed_swanlab(monkeypatch)
    run.facts.folder.mkdir()
    (run.facts.folder / "old").write_text("of an earlier attempt")
    tracker = SwanLab(run.facts)
    expected = swanlab_options(run, mode or "online", project="mine" if mode else "burnish")
    assert session.of("init") == [((), expected)]
    assert run.reported == ([OFFLINE] if mode == "offline" else [])
    assert tracker.holds(0, "loss") is False
    tracker.log(Point(4, 1.0, {"loss": 2.0}))
    assert session.of("log") == [(({"loss": 2.0},), {"step": 4})]


def test_swanlab_that_cannot_go_online_is_kept_offline(monkeypatch, run):
    session = installed_swanlab(monkeypatch, fails=("online",))
    SwanLab(run.facts)
    assert session.of("init") == [((), swanlab_options(run, "online")), ((), swanlab_options(run, "offline"))]
    first, second = run.reported
    assert first.startswith("no online run (")
    assert "not logged in" in first
    assert first.endswith("); metrics are kept offline")
    assert second == OFFLINE
    monkeypatch.setenv("SWANLAB_MODE", "offline")
    session = installed_swanlab(monkeypatch, fails=("offline",))
    with pytest.raises(ConnectionError):
        SwanLab(run.facts)
    assert len(session.of("init")) == 1
    assert len(run.reported) == 2


@pytest.mark.parametrize(
    ("state", "error", "called"),
    [("finished", "", ("success", None)), ("stopped", "why", ("aborted", "why")), ("failed", "x", ("crashed", "x"))],
)
def test_swanlab_is_told_how_a_run_ended(monkeypatch, run, state, error, called):
    session = installed_swanlab(monkeypatch)
    SwanLab(run.facts).close(state, error)
    assert session.of("finish") == [((), {"state": called[0], "error": called[1]})]


def installed_trackio(monkeypatch, *, server=None, logs=(), next_step=0):
    session = Calls()
    session.project, session.name, session.id, session._next_step = "burnish", "mine", "42", next_step
    asked = []

    def get_logs(*args, **named):
        asked.append((args, named))
        return list(logs)

    def init(**options):
        session.made.append(("init", (), options))
        return session

    module(
        monkeypatch, "trackio", init=init, AlertLevel=SimpleNamespace(ERROR="error level"),
        context_vars=SimpleNamespace(current_server=SimpleNamespace(get=lambda: server)),
    )  # fmt: skip
    module(monkeypatch, "trackio.sqlite_storage", SQLiteStorage=SimpleNamespace(get_logs=get_logs))
    session.asked = asked
    return session


def test_trackio_skips_what_its_database_has(monkeypatch, run):
    logs = [{"step": 1, "timestamp": "t", "loss": 2.0, "lr": 0.1}, {"step": 2, "timestamp": "t", "loss": 1.0}]
    session = installed_trackio(monkeypatch, logs=logs, next_step=9)
    tracker = Trackio(run.facts)
    options = {
        "project": "burnish",
        "name": "mine-1-train-012345",
        "config": SETTINGS,
        "resume": "allow",
        "embed": False,
    }
    assert session.of("init") == [((), options)]
    assert session.asked == [(("burnish", "mine"), {"run_id": "42"})]
    names = ("loss", "lr", "step", "timestamp")
    held = {(step, name) for step in range(4) for name in names if tracker.holds(step, name)}
    assert held == {(1, "loss"), (1, "lr"), (2, "loss")}


def test_trackio_on_a_server_skips_the_steps_that_the_server_reports(monkeypatch, run):
    session = installed_trackio(monkeypatch, server="https://there", next_step=3, logs=[{"step": 5, "loss": 1.0}])
    tracker = Trackio(run.facts)
    assert session.asked == []
    assert [tracker.holds(step, "loss") for step in (2, 3, 5)] == [True, False, False]


@pytest.mark.parametrize("error", ["", "out of memory"])
def test_trackio_is_alerted_of_an_error(monkeypatch, run, error):
    session = installed_trackio(monkeypatch)
    tracker = Trackio(run.facts)
    tracker.log(Point(4, 1.0, {"loss": 2.0}))
    tracker.close("failed", error)
    alert = [("alert", (), {"title": "failed", "text": error, "level": "error level"})] if error else []
    assert session.made[1:] == [("log", ({"loss": 2.0},), {"step": 4}), *alert, ("finish", (), {})]


def installed_mlflow(monkeypatch, **answers):
    client = Calls(create_run=SimpleNamespace(info=SimpleNamespace(run_id="new")), create_experiment="7", **answers)
    uris = []
    entities = {"Metric": lambda *args: ("metric", *args), "Param": lambda *args: ("param", *args)}
    made = module(
        monkeypatch, "mlflow", MlflowClient=lambda tracking_uri: uris.append(tracking_uri) or client,
        get_tracking_uri=lambda: "sqlite:///mlflow.db",
    )  # fmt: skip
    made.entities = module(monkeypatch, "mlflow.entities", **{name: staticmethod(f) for name, f in entities.items()})
    client.uris = uris
    return client


@pytest.mark.parametrize("experiment", [None, SimpleNamespace(experiment_id="4")])
def test_mlflow_begins_a_run_with_its_settings_and_remembers_it(monkeypatch, run, experiment):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://there")
    client = installed_mlflow(monkeypatch, get_experiment_by_name=experiment)
    tracker = MLflow(run.facts)
    assert client.uris == ["https://there"]
    assert client.of("get_experiment_by_name") == [(("burnish",), {})]
    assert client.of("create_experiment") == ([(("burnish",), {})] if experiment is None else [])
    options = {"run_name": "mine-1-train", "tags": {"burnish.id": "0123456789abcdef"}}
    assert client.of("create_run") == [(("4" if experiment else "7",), options)]
    params = [
        ("param", "seed", "3"),
        ("param", "method.kind", "lora"),
        ("param", "method.rank", "8"),
        ("param", "none", "{}"),
    ]
    assert client.of("log_batch") == [(("new",), {"params": params})]
    assert run.facts.recall() == {"uri": "https://there", "run_id": "new"}
    assert run.reported == ["run new in https://there"]
    assert not tracker.holds(1, "loss")
    tracker.log(Point(4, 12.3456, {"loss": 2.0, "lr": 0.5}))
    metrics = [("metric", "loss", 2.0, 12346, 4), ("metric", "lr", 0.5, 12346, 4)]
    assert client.of("log_batch")[1:] == [(("new",), {"metrics": metrics})]
    limits = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    }
    assert {name: os.environ[name] for name in limits} == limits
    assert "MLFLOW_ALLOW_FILE_STORE" not in os.environ


def test_mlflow_takes_many_long_settings_in_parts(monkeypatch, run):
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    client = installed_mlflow(monkeypatch)
    many = {f"s{n}": "x" * (5999 + n) for n in range(201)}
    MLflow(TrackedRun("id", "name", many, run.facts.folder, run.facts.memory, run.reported.append))
    batches = [named["params"] for _, named in client.of("log_batch")]
    assert [len(params) for params in batches] == [100, 100, 1]
    flattened = [param for params in batches for param in params]
    assert [name for _, name, _ in flattened] == [f"s{n}" for n in range(201)]
    assert [len(value) for *_, value in flattened[:3]] == [5999, 6000, 6000]
    assert client.of("create_experiment") == [(("mine",), {})]


def test_mlflow_goes_on_in_the_run_that_it_remembers(monkeypatch, run):
    history = {"loss": [1, 2], "lr": [2]}
    found = SimpleNamespace(data=SimpleNamespace(metrics=dict.fromkeys(history, 0.0)))
    client = installed_mlflow(
        monkeypatch, get_run=found,
        get_metric_history=lambda run_id, name: [SimpleNamespace(step=step) for step in history[name]],
    )  # fmt: skip
    run.facts.remember(uri="https://there", run_id="old")
    tracker = MLflow(run.facts)
    assert client.uris == ["https://there"]
    assert client.of("update_run") == [(("old",), {"status": "RUNNING"})]
    assert client.of("create_run") == []
    assert [args for args, _ in client.of("get_metric_history")] == [("old", "loss"), ("old", "lr")]
    held = {(step, name) for step in range(4) for name in history if tracker.holds(step, name)}
    assert held == {(1, "loss"), (2, "loss"), (2, "lr")}
    tracker.log(Point(3, 1.0, {"loss": 1.0}))
    assert client.of("log_batch")[0][0] == ("old",)
    assert run.reported == []
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://elsewhere")
    MLflow(run.facts)
    assert len(client.of("create_run")) == 1
    assert run.facts.recall() == {"uri": "https://elsewhere", "run_id": "new"}


@pytest.mark.parametrize(
    ("state", "error", "status"),
    [("finished", "", "FINISHED"), ("stopped", "why", "KILLED"), ("failed", "x", "FAILED")],
)
def test_mlflow_is_told_how_a_run_ended(monkeypatch, run, state, error, status):
    client = installed_mlflow(monkeypatch)
    MLflow(run.facts).close(state, error)
    tags = [("set_tag", ("new", "burnish.error", error), {})] if error else []
    assert client.made[-1 - len(tags) :] == [*tags, ("set_terminated", ("new", status), {})]


@pytest.mark.parametrize("has_database", [True, False])
def test_mlflow_without_a_server_has_its_own_default_or_a_folder(monkeypatch, run, tmp_path, has_database):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(mlflow_module, "find_spec", lambda name: (name == "sqlalchemy" and has_database) or None)
    client = installed_mlflow(monkeypatch)
    MLflow(run.facts)
    assert client.uris == ["sqlite:///mlflow.db" if has_database else f"file:{tmp_path}/mlruns"]
    assert (os.environ.get("MLFLOW_ALLOW_FILE_STORE") == "true") is not has_database
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "some/folder")
    MLflow(run.facts)
    assert os.environ["MLFLOW_ALLOW_FILE_STORE"] == "true"


def test_tensorboard_is_written_anew_with_settings_points_and_an_error(monkeypatch, run):
    from torch.utils.tensorboard import writer

    session, folders = Calls(), []
    monkeypatch.setattr(writer, "SummaryWriter", lambda folder: folders.append(folder) or session)
    run.facts.folder.mkdir()
    (run.facts.folder / "old").write_text("of an earlier attempt")
    tracker = TensorBoard(run.facts)
    assert folders == [str(run.facts.folder)]
    assert not run.facts.folder.exists()
    assert session.of("add_text") == [(("settings", f"```\nmine-1-train: {SETTINGS}\n```"), {})]
    assert tracker.holds(1, "loss") is False
    tracker.log(Point(4, 12.5, {"loss": 2.0, "lr": 0.5}))
    walltime = {"walltime": 12.5}
    assert session.of("add_scalar") == [(("loss", 2.0, 4), walltime), (("lr", 0.5, 4), walltime)]
    tracker.close("finished", "")
    assert session.made[-1] == ("close", (), {})
    assert len(session.of("add_text")) == 1
    tracker.close("failed", "why")
    assert session.made[-2:] == [("add_text", ("end", "failed: why"), {}), ("close", (), {})]


def test_what_a_tracker_remembers_survives_and_a_broken_file_is_no_memory(run):
    assert run.facts.recall() == {}
    run.facts.remember(uri="x", run_id=3)
    assert run.facts.recall() == {"uri": "x", "run_id": 3}
    for text in ("{broken", "[1, 2]", '"text"'):
        run.facts.memory.write_text(text)
        assert run.facts.recall() == {}


def test_nested_settings_get_dotted_names():
    nested = {"a": 1, "b": {"c": 2, "d": {"e": None}, "f": {}}, "g": [1], "h": {}, "i": ""}
    assert flat(nested) == {"a": 1, "b.c": 2, "b.d.e": None, "b.f": {}, "g": [1], "h": {}, "i": ""}
    assert flat({}) == {}
