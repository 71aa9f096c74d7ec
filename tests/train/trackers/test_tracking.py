"""A tracker never stops a training, and what it changes in the process is undone."""

import random
import signal
import sys
from concurrent.futures import CancelledError
from types import ModuleType

import pytest

from burnish.core.errors import MachineError, RunError
from burnish.core.events import Metric
from burnish.train.trackers import tracking
from burnish.train.trackers.tracking import TRACKERS, Tracking, require


class Memory:
    """A tracker in memory that raises where it is told to."""

    raises = ""
    points: list
    closed: list

    def __init__(self, run):
        if self.raises == "start":
            raise ConnectionError("no route to the tracker")
        self.run = run

    def holds(self, step, name):
        return False

    def log(self, point):
        if self.raises == "log" and point.step == 2:
            raise OSError(28, "No space left on device")
        self.points.append((point.step, dict(point.values)))

    def close(self, state, error):
        if self.raises == "close":
            raise TimeoutError("the upload takes too long")
        self.closed.append((state, error))


@pytest.fixture
def memory(monkeypatch):
    module = ModuleType("memory_tracker")
    module.Memory = type("Memory", (Memory,), {"points": [], "closed": []})
    monkeypatch.setitem(sys.modules, "memory_tracker", module)
    monkeypatch.setitem(TRACKERS, "memory", "memory_tracker:Memory")
    return module.Memory


def steps_of(names, folder, steps, **more):
    events = []
    with Tracking(names, folder, "one", {"seed": 0}, events.append, **more) as tracking:
        for step in steps:
            tracking.emit(Metric(step=step, values={"loss": 1.0 / step}))
    return [event.text for event in events if event.kind == "note" and event.level == "warning"]


@pytest.mark.parametrize(
    ("raises", "warning", "steps"),
    [
        ("start", "the tracker memory did not start, and the run is not tracked there: no route to the tracker", []),
        ("log", "the tracker memory failed at step 2 and receives nothing more: [Errno 28] No space", [1]),
        ("close", "the tracker memory did not close its run: the upload takes too long", [1, 2, 3]),
    ],
)
def test_a_tracker_that_fails_is_reported_once_and_the_run_goes_to_its_end(
    memory, tmp_path, monkeypatch, raises, warning, steps
):
    monkeypatch.setattr(memory, "raises", raises)
    (warned,) = steps_of(["memory"], tmp_path, (1, 2, 3))
    assert warned.startswith(warning)
    assert [step for step, _ in memory.points] == steps


@pytest.mark.parametrize("method", ["log", "close"])
@pytest.mark.parametrize("error", [SystemExit(5), CancelledError()], ids=["exit", "cancelled"])
def test_a_tracker_that_would_end_the_process_is_reported_too(memory, tmp_path, monkeypatch, method, error):
    def ends(*_):
        raise error

    monkeypatch.setattr(memory, method, ends)
    (warned,) = steps_of(["memory"], tmp_path, (1, 2, 3))
    assert warned.startswith("the tracker memory")


def test_a_training_survives_its_tracker(memory, run_fit, monkeypatch):
    monkeypatch.setitem(TRACKERS, "wandb", "memory_tracker:Memory")
    monkeypatch.setattr(memory, "raises", "log")
    ran = run_fit("run", track=["wandb"], max_steps=3)
    assert ran.measures["steps"] == 3
    assert ran.notes("warning") == [
        "the tracker wandb failed at step 2 and receives nothing more: [Errno 28] No space left on device"
    ]


def test_a_resumed_run_sends_what_was_measured_before_its_checkpoint_and_no_step_twice(memory, tmp_path):
    steps_of(["memory"], tmp_path, (1, 2, 3))
    memory.points.clear()
    steps_of(["memory"], tmp_path, (3, 4), step=2)
    assert [step for step, _ in memory.points] == [1, 2, 3, 4]


def test_a_run_from_another_checkpoint_is_a_new_run_to_its_trackers(memory, tmp_path):
    steps_of(["memory"], tmp_path, (1, 2, 3))
    first = (tmp_path / "private/run.json").read_text()
    steps_of(["memory"], tmp_path, (4,), step=3)
    assert (tmp_path / "private/run.json").read_text() == first
    memory.points.clear()
    steps_of(["memory"], tmp_path, (3, 4), step=2, continues=False)
    assert (tmp_path / "private/run.json").read_text() != first
    assert [step for step, _ in memory.points] == [3, 4]


@pytest.mark.parametrize(
    ("error", "state"),
    [(RunError("run.interrupted", "it was stopped", ""), "stopped"), (ValueError("it was stopped"), "failed")],
)
def test_a_tracker_learns_how_the_run_ended(memory, tmp_path, error, state):
    with (
        pytest.raises(type(error)),
        Tracking(["memory"], tmp_path, "one", {}, lambda _: None),
    ):
        raise error
    assert memory.closed == [(state, "it was stopped")]


def test_signal_handlers_and_random_numbers_are_as_before_the_start_of_a_tracker(memory, tmp_path, monkeypatch):
    def start(self, run):
        random.seed(0)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    monkeypatch.setattr(memory, "__init__", start)
    handler, numbers = signal.getsignal(signal.SIGINT), random.getstate()
    steps_of(["memory"], tmp_path, ())
    assert signal.getsignal(signal.SIGINT) is handler
    assert random.getstate() == numbers


def test_a_tracker_that_is_not_installed_is_reported_with_the_way_to_install_it(monkeypatch):
    monkeypatch.setattr(tracking, "find_spec", lambda _: None)
    with pytest.raises(MachineError) as caught:
        require(["wandb"])
    assert caught.value.code == "machine.no-package"
    assert caught.value.fix.startswith("pip install wandb")
