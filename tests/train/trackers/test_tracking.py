"""A tracker never stops, delays or changes a training."""

import contextlib
import json
import os
import signal
import time
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from burnish.core import processes
from burnish.core.errors import MachineError, RunError
from burnish.core.events import Metric
from burnish.specs.train import SftSpec
from burnish.train.trackers import sender, tracking
from burnish.train.trackers.tracking import TRACKERS, Tracking, require

TRACKER = """
import json, os

class Memory:
    def __init__(self, run):
        self._file = open(os.environ["MEMORY_TRACKER"], "a", buffering=1)
        self._act("start")
        self._write("start", os.getpid())

    def holds(self, step, name):
        return False

    def log(self, point):
        self._act(f"log {point.step}")
        self._write("log", point.step, dict(point.values))

    def close(self, state, error):
        self._act("close")
        self._write("close", state, error)

    def _act(self, when):
        exec(json.loads(os.environ.get("MEMORY_ACTS", "{}")).get(when, ""))

    def _write(self, *what):
        self._file.write(json.dumps(what) + "\\n")
"""


class Memory:
    """What a tracker in another process received, and `acts`: the code that it runs when."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch):
        self._path, self._monkeypatch = path, monkeypatch

    def acts(self, **code: str) -> None:
        self._monkeypatch.setenv("MEMORY_ACTS", json.dumps({when.replace("_", " "): do for when, do in code.items()}))

    def read(self, verb: str) -> list:
        lines = self._path.read_text().splitlines() if self._path.exists() else []
        return [rest for what, *rest in map(json.loads, lines) if what == verb]

    @property
    def steps(self) -> list[int]:
        return [step for step, _ in self.read("log")]

    def forget(self) -> None:
        self._path.unlink(missing_ok=True)


@pytest.fixture
def memory(tmp_path, monkeypatch) -> Memory:
    package = tmp_path / "packages"
    package.mkdir()
    (package / "memory_tracker.py").write_text(TRACKER)
    monkeypatch.setenv("PYTHONPATH", str(package), prepend=os.pathsep)
    monkeypatch.setenv("MEMORY_TRACKER", str(tmp_path / "received.jsonl"))
    for name in ("memory", "wandb"):
        monkeypatch.setitem(TRACKERS, name, "memory_tracker:Memory")
    return Memory(tmp_path / "received.jsonl", monkeypatch)


def steps_of(names, folder, steps, **more):
    events = []
    with Tracking(names, folder / "trackers", "one", {"seed": 0}, events.append, **more) as tracking:
        for step in steps:
            tracking.emit(Metric(step=step, values={"loss": 1.0 / step}))
    return [event.text for event in events if event.kind == "note" and event.level == "warning"]


NOT_STARTED = "the tracker memory did not start, and the run is not tracked there: "
FAILED = "the tracker memory failed at step 2 and receives nothing more: "
NOT_CLOSED = "the tracker memory did not close its run: "
WAYS = {
    "raise ConnectionError('no route')": "no route",
    "raise SystemExit(5)": "5",
    "import concurrent.futures as c; raise c.CancelledError('cancelled')": "cancelled",
    "os._exit(3)": "its process exited with 3",
    "os.kill(os.getpid(), 9)": "its process was killed by SIGKILL",
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("when", "warning", "steps"),
    [("start", NOT_STARTED, []), ("log_2", FAILED, [1]), ("close", NOT_CLOSED, [1, 2, 3])],
)
def test_a_tracker_that_fails_is_reported_with_what_it_lacks(memory, tmp_path, when, warning, steps, way):
    memory.acts(**{when: way})
    warned, *lost = steps_of(["memory"], tmp_path, (1, 2, 3))
    assert warned.startswith(warning + WAYS[way])
    assert memory.steps == steps
    count = 3 - len(steps)
    assert lost == ([f"the tracker memory did not receive {count} of 3 points of this run"] if count else [])


@pytest.mark.parametrize(
    ("when", "warning", "steps"),
    [("start", NOT_STARTED, []), ("log_2", FAILED, [1]), ("close", NOT_CLOSED, [1, 2, 3])],
)
def test_a_tracker_that_hangs_delays_no_step_and_is_given_up(memory, tmp_path, monkeypatch, when, warning, steps):
    monkeypatch.setattr(sender, "PATIENCE", 3.0)
    memory.acts(**{when: "import time; time.sleep(1000)"})
    delays = []

    def timed():
        for step in (1, 2, 3):
            began = time.monotonic()
            yield step
            delays.append(time.monotonic() - began)

    warned, *lost = steps_of(["memory"], tmp_path, timed())
    assert warned == f"{warning}it did not reply for 3 s"
    assert max(delays) < 1
    assert memory.steps == steps
    assert len(lost) == (1 if len(steps) < 3 else 0)


def test_a_tracker_that_is_slow_but_replies_is_given_up_after_the_end_of_the_run(memory, tmp_path, monkeypatch):
    monkeypatch.setattr(sender, "END_PATIENCE", 2.0)
    memory.acts(**{f"log_{step}": "import time; time.sleep(0.3)" for step in range(1, 40)})
    warned, lost = steps_of(["memory"], tmp_path, range(1, 40))
    assert warned == "the tracker memory was not done 2 s after the end of the run"
    assert lost.endswith("of 39 points of this run")


def test_a_tracker_that_hangs_does_not_hold_another(memory, tmp_path, monkeypatch):
    monkeypatch.setattr(sender, "PATIENCE", 3.0)
    memory.acts(log_2="if 'held' in self._file.name: import time; time.sleep(1000)")
    held = tmp_path / "packages/held_tracker.py"
    held.write_text(TRACKER.replace('["MEMORY_TRACKER"]', '["MEMORY_TRACKER"] + ".held"'))
    monkeypatch.setitem(TRACKERS, "held", "held_tracker:Memory")
    warned, _ = steps_of(["held", "memory"], tmp_path, (1, 2, 3))
    assert warned.startswith("the tracker held failed at step 2")
    assert memory.steps == [1, 2, 3]
    assert memory.read("close") == [["finished", ""]]


def test_no_more_points_wait_than_the_queue_holds(memory, tmp_path, monkeypatch):
    monkeypatch.setattr(sender, "QUEUE", 10)
    memory.acts(start="import time; time.sleep(1000)")
    warned, lost = steps_of(["memory"], tmp_path, range(1, 30))
    assert warned == "the tracker memory is 10 points behind and receives nothing more"
    assert lost == "the tracker memory did not receive 29 of 29 points of this run"


def test_points_that_do_not_fit_into_the_pipe_arrive_too(memory, tmp_path):
    assert steps_of(["memory"], tmp_path, range(1, 5000)) == []
    assert memory.steps == list(range(1, 5000))


def test_a_tracker_that_leaves_a_thread_does_not_hold_the_run(memory, tmp_path, monkeypatch):
    monkeypatch.setattr(sender, "EXIT_PATIENCE", 1.0)
    memory.acts(start="import threading, time; threading.Thread(target=time.sleep, args=(1000,)).start()")
    (warned,) = steps_of(["memory"], tmp_path, (1,))
    assert warned == "the tracker memory closed its run, but its process did not exit and is killed"


CHANGES = """
import random, signal, sys, warnings
import numpy, torch
torch.set_num_threads(3 if torch.get_num_threads() != 3 else 2)
torch.set_default_dtype(torch.float64)
torch.set_grad_enabled(False)
torch.use_deterministic_algorithms(True)
torch.manual_seed(self._file.fileno()), random.seed(1), numpy.random.seed(1)
signal.signal(signal.SIGINT, signal.SIG_IGN)
os.environ["OMP_NUM_THREADS"] = "3"
os.chdir("/")
sys.stdout = sys.stderr = None
sys.setrecursionlimit(100)
"""


def test_a_training_is_the_same_whatever_its_tracker_changes(memory, run_fit):
    settings = {"method": {"kind": "lora", "rank": 4, "dropout": 0.1}, "max_steps": 4}
    plain = run_fit("plain", **settings)
    memory.acts(**dict.fromkeys(("start", *(f"log_{step}" for step in range(1, 5)), "close"), CHANGES))
    tracked = run_fit("tracked", track=["wandb"], **settings)
    assert tracked.notes("warning") == []
    assert memory.steps == [1, 2, 3, 4]
    assert all(torch.equal(plain.weights[name], weight) for name, weight in tracked.weights.items())
    last = "scratch/checkpoints/step-00000004"
    for name in ("random", "optimizer"):
        file = f"{last}/{name}.safetensors"
        assert (plain.folder / file).read_bytes() == (tracked.folder / file).read_bytes()
    random_states = [
        json.loads((ran.folder / last / "state.json").read_text())["randomness"] for ran in (plain, tracked)
    ]
    assert random_states[0] == random_states[1]


def test_a_training_survives_its_tracker(memory, run_fit):
    memory.acts(log_2="raise OSError(28, 'No space left on device')")
    ran = run_fit("run", track=["wandb"], max_steps=3)
    assert ran.measures["steps"] == 3
    assert ran.notes("warning") == [
        "the tracker wandb failed at step 2 and receives nothing more: [Errno 28] No space left on device",
        "the tracker wandb did not receive 2 of 3 points of this run",
    ]


def test_a_resumed_run_sends_what_was_measured_before_its_checkpoint_and_no_step_twice(memory, tmp_path):
    steps_of(["memory"], tmp_path, (1, 2, 3))
    memory.forget()
    steps_of(["memory"], tmp_path, (3, 4), step=2)
    assert memory.steps == [1, 2, 3, 4]


def test_a_tracker_that_is_named_at_a_resume_receives_the_earlier_steps(memory, run_fit):
    with pytest.raises(RunError, match="it is saved"):
        run_fit("run", stop_before=3, max_steps=5)
    with pytest.raises(RunError, match="it is saved"):
        run_fit("run", stop_before=1, max_steps=5, track=["wandb"])
    assert memory.steps == [1, 2, 3, 4]
    memory.forget()
    run_fit("run", max_steps=5, track=["wandb"])
    assert memory.steps == [1, 2, 3, 4, 5]


def test_a_run_from_another_checkpoint_is_a_new_run_to_its_trackers(memory, tmp_path):
    steps_of(["memory"], tmp_path, (1, 2, 3))
    record = tmp_path / "trackers/private/run.json"
    first = record.read_text()
    steps_of(["memory"], tmp_path, (4,), step=3)
    assert record.read_text() == first
    memory.forget()
    steps_of(["memory"], tmp_path, (3, 4), step=2, continues=False)
    assert record.read_text() != first
    assert memory.steps == [3, 4]


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
    assert memory.read("close") == [[state, "it was stopped"]]


def test_a_signal_to_all_processes_of_a_run_leaves_the_tracker_to_record_the_stop(memory, tmp_path, until):
    with (
        contextlib.suppress(RunError),
        Tracking(["memory"], tmp_path, "one", {}, lambda _: None),
    ):
        until(lambda: memory.read("start"))
        ((process,),) = memory.read("start")
        os.kill(process, signal.SIGTERM)
        raise RunError("run.interrupted", "it was stopped", "")
    assert memory.read("close") == [["stopped", "it was stopped"]]


def test_a_process_that_cannot_be_started_is_reported(memory, tmp_path, monkeypatch):
    monkeypatch.setattr(processes.sys, "executable", str(tmp_path / "none"))
    warned, lost = steps_of(["memory"], tmp_path, (1, 2))
    assert warned.startswith(f"{NOT_STARTED}[Errno 2] No such file or directory")
    assert lost == "the tracker memory did not receive 2 of 2 points of this run"


@pytest.mark.parametrize("names", [[], ["memory"]])
def test_a_journal_that_cannot_be_written_is_reported_once(memory, tmp_path, names):
    (tmp_path / "trackers").write_text("a file")
    (warned,) = steps_of(names, tmp_path, (1, 2))
    assert warned.startswith("metrics cannot be kept for a resumed run")
    assert ("not tracked by memory" in warned) == bool(names)


def test_a_tracker_that_is_not_installed_is_reported_with_the_way_to_install_it(monkeypatch):
    monkeypatch.setattr(tracking, "find_spec", lambda _: None)
    with pytest.raises(MachineError) as caught:
        require(["wandb"])
    assert caught.value.code == "machine.no-package"
    assert caught.value.fix.startswith("pip install wandb")


def test_a_tracker_is_named_once():
    with pytest.raises(ValidationError, match="a tracker is named twice"):
        SftSpec(base="hub:a/b", data="step:x", track=["wandb", "tensorboard", "wandb"])
    assert SftSpec(base="hub:a/b", data="step:x", track=["wandb", "tensorboard"]).track == ["wandb", "tensorboard"]


@pytest.mark.parametrize("name", ["plain", "r\udcff"])
def test_files_of_trackers_are_in_the_artifact_unless_a_name_is_not_utf8(tmp_path, name):
    events = []
    with Tracking([], tmp_path / "trackers", "one", {}, events.append) as tracking:
        (tmp_path / "trackers" / "files" / "it").mkdir(parents=True)
        (tmp_path / "trackers" / "files" / "it" / name).write_text("x")
    tracking.publish(tmp_path / "out")
    notes = [event.text for event in events]
    if name == "plain":
        assert (notes, (tmp_path / "out" / "it" / name).read_text()) == ([], "x")
    else:
        (note,) = notes
        assert note.startswith("the files of trackers are not in the artifact: a file of a tracker: the path ")
        assert not (tmp_path / "out").exists()


def test_a_damaged_journal_is_reported(tmp_path):
    private = tmp_path / "trackers" / "private"
    private.mkdir(parents=True)
    (private / "metrics.jsonl").write_text("{torn\n")
    events = []
    with Tracking([], tmp_path / "trackers", "one", {}, events.append, step=3):
        pass
    (note,) = events
    assert note.text == (
        f"{private / 'metrics.jsonl'} is damaged: trackers do not receive the metrics of 1 of its lines"
    )
    assert note.level == "warning"
