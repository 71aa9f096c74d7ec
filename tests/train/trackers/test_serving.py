"""The process of a tracker, request by request, and what a Tracking passes on to its senders."""

import io
import json
import os
import re
import subprocess
import sys
from types import ModuleType, SimpleNamespace

import pytest

from burnish.core.errors import MachineError, RunError
from burnish.core.events import Metric, Note
from burnish.train.trackers import process, tracking
from burnish.train.trackers.base import Point
from burnish.train.trackers.journal import Journal
from burnish.train.trackers.tracking import TRACKERS, Tracking, _identity, _links, _state_of, require


class Tracker:
    """Has step 1 of the loss; notes everything in `calls`."""

    calls: list

    def __init__(self, run):
        self.calls.append(run)
        run.report("begun")

    def holds(self, step, name):
        return (step, name) == (1, "loss")

    def log(self, point):
        self.calls.append(point)

    def close(self, state, error):
        self.calls.append((state, error))


@pytest.fixture
def kind(monkeypatch):
    made = type("Made", (Tracker,), {"calls": []})
    module = ModuleType("made_here")
    module.Made = made
    monkeypatch.setitem(sys.modules, "made_here", module)
    return made


RUN = {"id": "abc", "name": "mine", "settings": {"seed": 1}, "folder": "some/files", "memory": "some/memory.json"}
START = {"start": {"kind": "made_here:Made", "run": RUN}}


def served(*requests):
    replies = []
    lines = io.StringIO("".join(json.dumps(request) + "\n" for request in requests))
    closed = process._serve(lines, lambda **message: replies.append(message))
    return closed, replies


def test_requests_are_answered_in_order(kind):
    points = [[1, 0.5, {"loss": 2.0, "lr": 0.1}], [1, 0.5, {"loss": 2.0}], [2, 1.5, {"loss": 1.0}]]
    closed, replies = served(
        START, *({"point": point} for point in points), {"close": ["failed", "why"]}, {"point": []}
    )
    assert closed is True
    assert replies == [{"note": "begun"}, {"started": True}, {"sent": 1}, {"sent": 1}, {"sent": 2}, {"closed": True}]
    run, *rest = kind.calls
    assert (run.id, run.name, run.settings) == ("abc", "mine", {"seed": 1})
    assert (str(run.folder), str(run.memory)) == ("some/files", "some/memory.json")
    assert rest == [Point(1, 0.5, {"lr": 0.1}), Point(2, 1.5, {"loss": 1.0}), ("failed", "why")]


def test_requests_that_end_before_the_run_is_closed_leave_it_open(kind):
    assert served(START, {"point": [2, 1.5, {"loss": 1.0}]}) == (
        False,
        [{"note": "begun"}, {"started": True}, {"sent": 2}],
    )


def in_process(requests, kind_of="train.trackers.nowhere:It"):
    """The replies, the output and the exit status of a process of its own."""
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    command = [sys.executable, "-m", "burnish.train.trackers.process", str(os.getpid())]
    ran = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=100, check=False)
    return [json.loads(line) for line in ran.stdout.splitlines()], ran.stderr, ran.returncode


PRINTS = """
import os
class Prints:
    def __init__(self, run):
        print("printed", os.readlink("/proc/self/fd/0"))
    def holds(self, step, name):
        return False
    def log(self, point):
        raise SystemExit("over quota")
    def close(self, state, error):
        pass
"""


def test_a_process_replies_on_its_pipe_alone_and_exits_with_1_where_the_run_was_not_closed(tmp_path, monkeypatch):
    (tmp_path / "prints_here.py").write_text(PRINTS)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    start = {"start": {"kind": "prints_here:Prints", "run": RUN}}
    replies, printed, status = in_process([start, {"close": ["finished", ""]}])
    assert (replies, status) == ([{"started": True}, {"closed": True}], 0)
    assert "printed /dev/null" in printed
    replies, printed, status = in_process([start])
    assert (replies, status) == ([{"started": True}], 1)
    replies, printed, status = in_process([start, {"point": [1, 0.5, {"loss": 1.0}]}])
    assert replies[0] == {"started": True}
    assert "over quota" in replies[1]["failed"]
    assert (len(replies), status) == (2, 1)
    assert "the tracker failed" in printed


BEARS = """
import subprocess, sys
class Bears:
    def __init__(self, run):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        run.report(str(child.pid))
    def holds(self, step, name):
        return False
    def log(self, point):
        import time
        time.sleep(60)
    def close(self, state, error):
        pass
"""
WORKER = """
import time
from pathlib import Path
from burnish.train.trackers.base import Point, TrackedRun
from burnish.train.trackers.sender import Sender
def report(text):
    print(text, flush=True)
run = TrackedRun("42", "mine", {{}}, Path("."), Path("memory.json"), report)
sender = Sender("bears", "bears_here:Bears", run, {points}, report)
sender.wait()
"""


@pytest.mark.parametrize("is_busy", [False, True], ids=["idle", "busy"])
def test_a_worker_that_is_killed_leaves_no_child_of_a_tracker(tmp_path, monkeypatch, until, is_running, is_busy):
    (tmp_path / "bears_here.py").write_text(BEARS)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    command = [sys.executable, "-c", WORKER.format(points="[Point(1, 0.5, {'loss': 1.0})]" if is_busy else "[]")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
        child = int(worker.stdout.readline())
        assert is_running(child)
        worker.kill()
    until(lambda: not is_running(child), 10)


def test_points_are_kept_in_lines_and_those_after_a_step_are_removed(tmp_path):
    path = tmp_path / "a/b/metrics.jsonl"
    journal = Journal(path, 0)
    assert journal.points == []
    assert path.read_text() == ""
    assert journal.add(Point(1, 0.5, {"loss": 2.0, "lr": 0.1})) == Point(1, 0.5, {"loss": 2.0, "lr": 0.1})
    assert journal.add(Point(1, 0.6, {"loss": 9.0, "eval": 3.0})) == Point(1, 0.6, {"eval": 3.0})
    assert journal.add(Point(1, 0.7, {"loss": 9.0, "eval": 9.0})) is None
    assert journal.add(Point(2, 0.8, {"loss": 1.0})) == Point(2, 0.8, {"loss": 1.0})
    lines = path.read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"step": 1, "at": 0.5, "values": {"loss": 2.0, "lr": 0.1}},
        {"step": 1, "at": 0.6, "values": {"eval": 3.0}},
        {"step": 2, "at": 0.8, "values": {"loss": 1.0}},
    ]
    path.write_text("\n".join([lines[0], "{torn", '{"step": 1}', *lines[1:]]))
    for step, kept in ((1, 2), (2, 3), (0, 0)):
        again = Journal(path, step)
        assert [point.at for point in again.points] == [0.5, 0.6, 0.8][:kept]
        assert path.read_text() == "".join(f"{line}\n" for line in lines[:kept])
        assert again.add(Point(1, 1.0, {"loss": 5.0})) == (Point(1, 1.0, {"loss": 5.0}) if not kept else None)
        path.write_text("".join(f"{line}\n" for line in lines))


def test_the_id_of_a_run_is_made_once(tmp_path):
    path, warned = tmp_path / "run.json", []
    made = _identity(path, warned.append)
    assert re.fullmatch("[0-9a-f]{16}", made)
    assert json.loads(path.read_text()) == {"id": made}
    assert _identity(path, warned.append) == made
    assert warned == []
    for text in ("{torn", "[]", "{}", "3"):
        path.write_text(text)
        other = _identity(path, warned.append)
        assert other != made
        assert _identity(path, warned.append) == other
        assert warned.pop().startswith(f"{path} is damaged (")
        assert warned == []


def test_how_a_run_ended_is_told_by_its_error():
    assert _state_of(None) == ("finished", "")
    assert _state_of(RunError("run.interrupted", "stopped at step 3", "run it again")) == (
        "stopped",
        "stopped at step 3",
    )
    assert _state_of(MachineError("machine.no-memory", "no memory", "x")) == ("failed", "no memory")
    assert _state_of(ValueError("broken")) == ("failed", "broken")


def test_links_are_left_out(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert _links(str(tmp_path), ["file", "link", "gone"]) == ["link"]


class Sender:
    """Keeps what it is given."""

    made: list

    def __init__(self, name, kind, run, points, warn):
        self.name, self.kind, self.run, self.points, self.warn = name, kind, run, list(points), warn
        self.calls = []
        self.made.append(self)

    def send(self, point):
        self.calls.append(point)

    def close(self, state, error):
        self.calls.append((state, error))

    def wait(self):
        self.calls.append("wait")


@pytest.fixture
def senders(monkeypatch):
    made = []
    monkeypatch.setattr(tracking, "Sender", type("Made", (Sender,), {"made": made}))
    return made


def attempt(folder, steps, names=("tensorboard", "wandb"), **more):
    events = []
    with Tracking(names, folder, "mine", {"seed": 1}, events.append, **more) as tracked:
        for step in steps:
            tracked.emit(Metric(step=step, values={"loss": float(step)}))
        tracked.emit(Note(text="passed on"))
    return events, tracked


def test_every_sender_gets_the_run_the_earlier_points_and_the_new_ones(senders, tmp_path):
    events, _ = attempt(tmp_path, [1, 2])
    assert [event.kind for event in events] == ["metric", "metric", "note"]
    assert [(sender.name, sender.kind) for sender in senders] == [
        ("tensorboard", "burnish.train.trackers.tensorboard:TensorBoard"),
        ("wandb", "burnish.train.trackers.wandb:Wandb"),
    ]
    for sender in senders:
        run = sender.run
        assert (run.name, run.settings) == ("mine", {"seed": 1})
        assert run.folder == tmp_path / "files" / sender.name
        assert run.memory == tmp_path / "private" / f"{sender.name}.json"
        assert run.id == json.loads((tmp_path / "private/run.json").read_text())["id"]
        assert sender.points == []
        assert [(point.step, point.values) for point in sender.calls[:2]] == [(1, {"loss": 1.0}), (2, {"loss": 2.0})]
        assert sender.calls[2:] == [("finished", ""), "wait"]
        run.report("hello")
        assert events[-1].text == f"{sender.name}: hello"
        assert events[-1].level == "info"
        sender.warn("careful")
        assert (events[-1].text, events[-1].level) == ("careful", "warning")


def test_a_resumed_attempt_sends_what_was_measured_and_another_run_begins_anew(senders, tmp_path):
    attempt(tmp_path, [1, 2, 3], names=["wandb"])
    attempt(tmp_path, [2, 3, 4], names=["wandb", "mlflow"], step=2)
    first, *second = senders
    for sender in second:
        assert [point.step for point in sender.points] == [1, 2]
        assert [point.step for point in sender.calls[:-2]] == [3, 4]
        assert sender.run.id == first.run.id
    attempt(tmp_path, [], names=["wandb"], step=9, continues=False)
    assert senders[-1].points == []
    assert senders[-1].run.id != first.run.id
    attempt(tmp_path / "not/there", [], names=["wandb"], continues=False)
    attempt(tmp_path, [1], names=["wandb"])
    attempt(tmp_path, [], names=["wandb"])
    assert senders[-1].points == []  # without a step, nothing of before is kept


def test_metrics_are_kept_without_trackers_too(senders, tmp_path):
    _, tracked = attempt(tmp_path, [1, 2], names=())
    assert senders == []
    assert not (tmp_path / "private/run.json").exists()
    assert len((tmp_path / "private/metrics.jsonl").read_text().splitlines()) == 2
    tracked.publish(tmp_path / "published")
    assert not (tmp_path / "published").exists()


def test_a_run_that_failed_is_closed_as_failed(senders, tmp_path):
    with pytest.raises(ValueError, match="broken"), Tracking(["wandb"], tmp_path, "mine", {}, lambda event: None):
        raise ValueError("broken")
    assert senders[0].calls == [("failed", "broken"), "wait"]


def test_files_are_published_without_links_and_a_failure_is_a_warning(senders, tmp_path):
    events, tracked = attempt(tmp_path, [])
    folder = tmp_path / "files/wandb"
    folder.mkdir(parents=True)
    (folder / "log").write_text("x")
    (folder / "latest").symlink_to("log")
    tracked.publish(tmp_path / "published")
    assert [path.name for path in (tmp_path / "published/wandb").iterdir()] == ["log"]
    before = len(events)
    tracked.publish(tmp_path / "published")
    [told] = events[before:]
    assert told.level == "warning"
    assert told.text.startswith("the files of trackers are not in the artifact: ")


@pytest.mark.parametrize("names", [(), ("wandb", "mlflow")])
def test_a_folder_that_cannot_be_made_is_reported(senders, tmp_path, names):
    (tmp_path / "blocked").write_text("a file")
    events, _ = attempt(tmp_path / "blocked", [1, 2], names=names)
    first, *rest = events
    lost = ", and the run is not tracked by wandb, mlflow" if names else ""
    assert (first.kind, first.level) == ("note", "warning")
    assert first.text.startswith(f"metrics cannot be kept for a resumed run{lost}: ")
    assert [event.kind for event in rest] == ["metric", "metric", "note"]
    assert senders == []


def test_points_that_cannot_be_kept_are_sent_all_the_same_and_reported_once(senders, tmp_path, monkeypatch):
    monkeypatch.setattr(Journal, "add", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    events, _ = attempt(tmp_path, [1, 2, 3], names=["wandb"])
    assert [point.step for point in senders[0].calls[:-2]] == [1, 2, 3]
    assert [event.text[:41] for event in events if event.kind == "note"] == [
        "metrics cannot be kept for a resumed run:",
        "passed on",
    ]


def test_every_tracker_has_a_class_and_is_required_by_the_name_of_its_package(monkeypatch):
    from importlib import import_module

    for name, place in TRACKERS.items():
        module, _, kind = place.partition(":")
        assert hasattr(import_module(module), kind)
        assert module.endswith(f".{name}")
    monkeypatch.setattr(tracking, "find_spec", lambda name: SimpleNamespace() if name != "mlflow" else None)
    require([])
    require(["wandb", "tensorboard"])
    with pytest.raises(MachineError, match="track names mlflow, but the package is not installed") as caught:
        require(["wandb", "mlflow"])
    assert caught.value.code == "machine.no-package"
    assert caught.value.fix == "pip install mlflow, or remove mlflow from track"
