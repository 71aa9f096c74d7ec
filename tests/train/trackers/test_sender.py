"""The queue to a tracker's process, with pipes of the test's own and a clock that it sets."""

import json
import os
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from burnish.train.trackers import sender as module
from burnish.train.trackers.base import Point, TrackedRun
from burnish.train.trackers.sender import Sender, _Process

START = {"start": {"kind": "a.module:It", "run": {
    "id": "42", "name": "mine", "settings": {"seed": 1}, "folder": "some/files", "memory": "some/memory.json",
}}}  # fmt: skip


class Pipes:
    """In place of a process: the test reads the requests and writes the replies."""

    def __init__(self):
        (reading, writing), (replies, replying) = os.pipe(), os.pipe()
        self.requests, self.replies = os.fdopen(writing, "wb", buffering=0), os.fdopen(replies, "rb", buffering=0)
        self._reading, self._replying = os.fdopen(reading, "rb", buffering=0), os.fdopen(replying, "wb", buffering=0)
        for pipe in (self.requests, self.replies, self._reading):
            os.set_blocking(pipe.fileno(), False)
        self.killed = self.ended = 0
        self.exits = True
        self._rest = b""

    def asked(self):
        """The requests that arrived since the last call."""
        data = self._rest + (self._reading.read() or b"")
        *lines, self._rest = data.split(b"\n")
        return [json.loads(line) for line in lines]

    def reply(self, *messages):
        for message in messages:
            self._replying.write(json.dumps(message).encode() + b"\n")

    def close(self):
        for pipe in (self.requests, self.replies, self._reading, self._replying):
            pipe.close()

    def hang_up(self):
        self._replying.close()

    def kill(self):
        self.killed += 1

    def ending(self):
        return "its process exited with 3"

    def end(self):
        self.ended += 1
        return self.exits


@pytest.fixture
def world(monkeypatch):
    """The clock, the pipes of the sender that is made, and what it reported."""
    state = SimpleNamespace(now=1000.0, pipes=None, warned=[], noted=[], waits=[], script=[])

    made = []

    def process():
        state.pipes = Pipes()
        made.append(state.pipes)
        return state.pipes

    def select(readable, writable, errors, left):
        assert (readable, errors) == ([state.pipes.replies], [])
        state.waits.append((bool(writable), left))
        assert len(state.waits) < 50
        (state.script.pop(0) if state.script else lambda: setattr(state, "now", state.now + left))()

    monkeypatch.setattr(module, "_Process", process)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: state.now))
    monkeypatch.setattr(module, "select", SimpleNamespace(select=select))

    def make(points=()):
        run = TrackedRun("42", "mine", {"seed": 1}, "some/files", "some/memory.json", state.noted.append)
        return Sender("wandb", "a.module:It", run, [point(n) for n in points], state.warned.append)

    state.make = make
    yield state
    for pipes in made:
        pipes.close()


def point(step):
    return Point(step, step / 2, {"loss": 1.0})


def request(step):
    return {"point": [step, step / 2, {"loss": 1.0}]}


def test_a_run_is_begun_its_earlier_points_sent_and_new_ones_after_them(world):
    sender = world.make([1, 2])
    assert world.pipes.asked() == [START, request(1), request(2)]
    sender.send(point(3))
    assert world.pipes.asked() == [request(3)]
    world.pipes.reply({"note": "hello"}, {"started": True}, {"sent": 1}, {"sent": 2}, {"note": "there"}, {"sent": 3})
    sender.send(point(4))
    assert world.noted == ["hello", "there"]
    sender.close("finished", "")
    assert world.pipes.asked() == [request(4), {"close": ["finished", ""]}]
    world.script = [lambda: world.pipes.reply({"sent": 4}, {"closed": True})]
    sender.wait()
    assert world.warned == []
    assert (world.pipes.killed, world.pipes.ended) == (0, 1)
    assert world.waits == [(False, 120.0)]


def test_what_the_pipe_does_not_take_waits_and_arrives_in_order(world):
    sender = world.make()
    world.pipes.reply({"started": True})
    text = "x" * 40_000
    for step in range(1, 6):
        sender.send(Point(step, 0.0, {text: float(step)}))
    found = world.pipes.asked()[1:]
    assert len(found) < 5
    sender.close("finished", "")
    while len(found) < 6:
        world.script = [lambda: None]
        sender._pump()
        found += world.pipes.asked()
    assert [one["point"][0] for one in found[:5]] == [1, 2, 3, 4, 5]
    assert all(one["point"][2] == {text: float(one["point"][0])} for one in found[:5])
    assert found[5] == {"close": ["finished", ""]}


def test_a_wait_is_for_a_pipe_that_takes_more_only_while_something_is_left(world):
    sender = world.make()
    sender.send(Point(1, 0.0, {"x" * 200_000: 1.0}))
    sender.close("stopped", "why")

    def take():
        world.pipes.asked()

    def answer():
        take()
        world.pipes.reply({"started": True}, {"sent": 1}, {"closed": True})

    world.script = [take, take, take, answer]
    sender.wait()
    assert [writable for writable, _ in world.waits][-1] is False
    assert world.waits[0][0] is True
    assert world.warned == []


@pytest.mark.parametrize(("state", "patience"), [("finished", 600), ("failed", 600), ("stopped", 20)])
def test_a_tracker_that_replies_too_slowly_is_given_up_after_the_end_of_the_run(world, state, patience):
    sender = world.make([1, 2, 3])
    world.pipes.reply({"started": True})
    sender.close(state, "")

    def slow():
        world.now += 15
        world.pipes.reply({"note": "still here"})

    world.script = [slow] * 60
    sender.wait()
    assert world.warned == [
        f"the tracker wandb was not done {patience} s after the end of the run",
        "the tracker wandb did not receive 3 of 3 points of this run",
    ]
    assert world.pipes.killed == 1
    assert all(0.0 <= left <= 120.0 for _, left in world.waits)


@pytest.mark.parametrize(
    ("replies", "closing", "words"),
    [
        ([], False, "did not start, and the run is not tracked there"),
        ([{"started": True}], False, "failed at step 1 and receives nothing more"),
        ([{"started": True}, {"sent": 1}], False, "failed at step 2 and receives nothing more"),
        ([{"started": True}, {"sent": 1}, {"sent": 2}], True, "did not close its run"),
    ],
)
@pytest.mark.parametrize("way", ["failed", "hung up", "no reply"])
def test_a_tracker_that_fails_or_hangs_is_named_with_what_it_was_at(world, replies, closing, words, way):
    sender = world.make([1, 2])
    world.pipes.reply(*replies)
    sender._pump()
    if closing:
        sender.close("finished", "")
    why = {"failed": "over quota", "hung up": "its process exited with 3", "no reply": "it did not reply for 120 s"}[
        way
    ]
    if way == "failed":
        world.pipes.reply({"failed": "over quota"})
    elif way == "hung up":
        world.pipes.hang_up()
    else:
        world.now += 119.9
        sender._pump()
        assert world.warned == []
        world.now += 0.1
    sender._pump()
    assert world.warned == [f"the tracker wandb {words}: {why}"]
    assert world.pipes.killed == 1
    sender._pump()
    sender.send(point(9))
    world.pipes.asked()
    sender.close("finished", "")
    sender.wait()
    waiting = 2 - sum("sent" in reply for reply in replies)
    assert world.warned[1:] == [f"the tracker wandb did not receive {waiting + 1} of 3 points of this run"]
    assert world.waits == []
    assert (world.pipes.killed, world.pipes.ended) == (1, 1)


def test_a_tracker_with_nothing_to_do_may_be_silent(world):
    sender = world.make([1])
    world.pipes.reply({"started": True}, {"sent": 1})
    sender._pump()
    world.now += 10_000
    sender.send(point(2))
    assert world.warned == []
    world.now += 119
    sender.send(point(3))
    assert world.warned == []
    world.pipes.hang_up()
    world.now += 0.5
    sender.send(point(4))
    assert world.warned == ["the tracker wandb failed at step 2 and receives nothing more: its process exited with 3"]
    idle = world.make()
    world.pipes.reply({"started": True})
    idle._pump()
    world.pipes.hang_up()
    idle._pump()
    assert world.warned[1:] == ["the tracker wandb receives nothing more: its process exited with 3"]


def test_a_reply_in_two_parts_is_one_reply(world):
    sender = world.make([1])
    for part in (b'{"started": t', b'rue}\n{"se', b'nt": 1}\n{"note": "x', b'y"}\n'):
        world.pipes._replying.write(part)
        sender._pump()
    assert world.noted == ["xy"]
    sender.close("finished", "")
    world.pipes.reply({"closed": True})
    sender.wait()
    assert world.warned == []


def test_no_more_points_wait_than_the_queue_holds_beyond_the_earlier_ones(world, monkeypatch):
    monkeypatch.setattr(module, "QUEUE", 3)
    sender = world.make([1, 2])
    for step in (3, 4, 5):
        sender.send(point(step))
    assert world.warned == []
    sender.send(point(6))
    assert world.warned == ["the tracker wandb is 5 points behind and receives nothing more"]
    sender.send(point(7))
    sender.close("finished", "")
    sender.wait()
    assert world.warned[1:] == ["the tracker wandb did not receive 7 of 7 points of this run"]
    assert world.pipes.killed == 1


def test_a_process_that_cannot_be_made_is_reported_once(world, monkeypatch):
    monkeypatch.setattr(
        module, "_Process", lambda: (_ for _ in ()).throw(OSError(11, "Resource temporarily unavailable"))
    )
    sender = world.make([1])
    sender.send(point(2))
    sender.close("finished", "")
    sender.wait()
    first, second = world.warned
    assert first.startswith("the tracker wandb did not start, and the run is not tracked there: ")
    assert second == "the tracker wandb did not receive 2 of 2 points of this run"


def test_a_process_that_does_not_exit_is_reported(world):
    sender = world.make()
    world.pipes.exits = False
    world.pipes.reply({"started": True}, {"closed": True})
    sender.close("finished", "")
    sender.wait()
    assert world.warned == ["the tracker wandb closed its run, but its process did not exit and is killed"]
    sender.wait()
    assert world.pipes.ended == 1


def test_the_limits_are_those_that_the_guide_promises():
    assert (module.QUEUE, module.PATIENCE, module.END_PATIENCE) == (100_000, 120.0, 600.0)
    assert (module.STOP_PATIENCE, module.EXIT_PATIENCE) == (20.0, 20.0)


def process(monkeypatch, code):
    """A process with the pipes of a tracker's that runs this code instead."""
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda command, **given: popen([sys.executable, "-c", code], **given))
    return _Process()


def test_how_a_process_ended_is_told(monkeypatch):
    for code, words in (
        ("raise SystemExit(3)", "its process exited with 3"),
        ("", "its process exited with 0"),
        ("import os; os.kill(os.getpid(), 9)", "its process was killed by SIGKILL"),
        ("import os, time; os.close(1); time.sleep(60)", "its process closed its output"),
    ):
        made = process(monkeypatch, code)
        monkeypatch.undo()
        while made._popen.poll() is None and "sleep" not in code:
            time.sleep(0.01)
        assert made.ending() == words
        made.kill()
        made.end()


def test_a_process_that_outlives_its_patience_is_killed_and_its_pipes_closed(monkeypatch):
    for code, exits in (("import sys; sys.stdin.read()", True), ("import time; time.sleep(60)", False)):
        made = process(monkeypatch, code)
        monkeypatch.undo()
        monkeypatch.setattr(module, "EXIT_PATIENCE", 30.0 if exits else 0.1)
        assert not os.get_blocking(made.requests.fileno())
        assert not os.get_blocking(made.replies.fileno())
        assert made.end() is exits
        assert made._popen.returncode == (0 if exits else -9)
        assert made.requests.closed
        assert made.replies.closed


@pytest.mark.parametrize("raw", [b"not json", b"[1, 2]", b"{}", b"\xff", b'{"sent": 1}', b"3", b'{"other": 1}'])
def test_a_reply_that_cannot_be_read_gives_the_tracker_up(world, raw):
    sender = world.make()
    world.pipes._replying.write(raw + b"\n")
    sender._pump()
    (warned,) = world.warned
    assert warned.endswith(f"its reply is not readable: {raw!r}")
    assert world.pipes.killed == 1


BEARS = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"])
print(child.pid, flush=True)
{end}
"""


@pytest.mark.parametrize("end", ["child.wait()", "sys.exit(3)"], ids=["hangs", "has exited"])
def test_the_children_of_a_killed_process_are_killed(monkeypatch, until, is_running, end):
    made = process(monkeypatch, BEARS.format(end=end))
    os.set_blocking(made.replies.fileno(), True)
    child = int(made.replies.readline())
    if end != "child.wait()":
        assert made._popen.wait(10) == 3
    assert is_running(child)
    made.kill()
    until(lambda: not is_running(child), 10)
    made.end()
