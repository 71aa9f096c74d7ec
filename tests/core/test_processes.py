"""Work in child processes: the same results in the same order, and no orphaned child."""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from burnish.core.errors import DataError, MachineError
from burnish.core.processes import map_in_order, usable_cores


@dataclass(frozen=True)
class Squares:
    """Squares a number; -1 is bad data, and 13 ends the process that works on it, unless that is `parent`."""

    parent: int = 0

    def __call__(self):
        def work(number):
            if number == -1:
                raise DataError("data.unreadable", "a negative number", "use another")
            if number == 13 and os.getpid() != self.parent:
                os.kill(os.getpid(), signal.SIGKILL)
            return number * number, os.getpid()

        return work


def test_results_come_in_order_and_from_several_processes():
    found = list(map_in_order(Squares(), range(20, 60), processes=2, alone_for=0.0))
    assert [(number, square) for number, (square, _) in found] == [(n, n * n) for n in range(20, 60)]
    assert len({pid for _, (_, pid) in found}) > 1


def test_short_work_starts_no_process():
    found = list(map_in_order(Squares(os.getpid()), range(40), processes=2))
    assert {pid for _, (_, pid) in found} == {os.getpid()}


def test_an_error_of_a_child_is_raised_unchanged():
    with pytest.raises(DataError, match="a negative number") as raised:
        list(map_in_order(Squares(), [1, 2, -1, 4], processes=2, alone_for=0.0))
    assert raised.value.fix == "use another"


def test_a_killed_child_is_reported_as_out_of_memory():
    with pytest.raises(MachineError, match="was killed") as raised:
        list(map_in_order(Squares(os.getpid()), [1, 2, 13, 4], processes=2, alone_for=0.0))
    assert raised.value.code == "machine.no-memory"


PARENT = """
import sys
from tests_of_processes import Squares
from burnish.core.processes import map_in_order, usable_cores
stream = map_in_order(Squares(), range(100, 10_000), processes=2, alone_for=0.0)
pids = {next(stream)[1][1] for _ in range(50)}
print(*pids, flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux to end children with their parent")
def test_no_child_outlives_a_parent_that_is_killed(tmp_path):
    shutil.copyfile(__file__, tmp_path / "tests_of_processes.py")  # a name that children can import
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
    )
    with parent:
        children = [int(pid) for pid in parent.stdout.readline().split() if int(pid) != parent.pid]
        assert children
        parent.kill()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and any(is_alive(pid) for pid in children):
        time.sleep(0.05)
    assert not any(is_alive(pid) for pid in children)


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


@dataclass(frozen=True)
class State:
    """Reports the state of the process that works: its id, and what of its parent it has."""

    def __call__(self):
        def work(_):
            signal_of_death = ctypes.c_int(0)
            if sys.platform == "linux":
                ctypes.CDLL(None).prctl(2, ctypes.byref(signal_of_death))
            ignores = signal.getsignal(signal.SIGINT) == signal.SIG_IGN
            return os.getpid(), signal_of_death.value, ignores, list(REMEMBERED)

        return work


REMEMBERED: list[str] = []


def test_a_child_starts_anew_and_leaves_ctrl_c_to_its_parent_and_ends_with_it(monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "REMEMBERED", ["by the parent"])
    own, *others = (result for _, result in map_in_order(State(), range(4), processes=2, alone_for=0.0))
    assert (own[0], own[3]) == (os.getpid(), ["by the parent"])
    assert {other[1:3] for other in others} == {(signal.SIGTERM if sys.platform == "linux" else 0, True)}
    assert [other[3] for other in others] == [[], [], []]


def test_one_process_is_this_one():
    found = list(map_in_order(Squares(os.getpid()), range(20), processes=1, alone_for=0.0))
    assert found == [(number, (number * number, os.getpid())) for number in range(20)]
    assert list(map_in_order(Squares(), [], processes=2)) == []


def test_two_chunks_for_each_process_are_in_flight_and_one_more_for_each_result():
    taken = []

    def chunks():
        for number in range(100, 200):
            taken.append(number)
            yield number

    stream = map_in_order(Squares(), chunks(), processes=2, alone_for=0.0)
    counts = []
    for _ in range(4):
        next(stream)
        counts.append(len(taken))
    stream.close()
    assert counts == [1, 5, 6, 7]


def test_no_child_is_left_when_the_stream_is_closed():
    stream = map_in_order(Squares(), range(100, 200), processes=2, alone_for=0.0)
    pids = {next(stream)[1][1] for _ in range(20)} - {os.getpid()}
    assert all(map(is_alive, pids))
    stream.close()
    assert not any(map(is_alive, pids))


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux to end children with their parent")
def test_a_process_whose_parent_is_already_gone_ends():
    code = "import os, sys; from burnish.core.processes import end_with_parent; end_with_parent({}); print('on')"
    for parent, status, printed in (("os.getppid()", 0, "on\n"), ("os.getppid() + 1", 143, "")):
        done = subprocess.run([sys.executable, "-c", code.format(parent)], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (status, printed)


def test_the_usable_cores_are_those_this_process_may_use(monkeypatch):
    if hasattr(os, "sched_setaffinity"):
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(before)})
        try:
            assert usable_cores() == 1
        finally:
            os.sched_setaffinity(0, before)
        assert usable_cores() == len(before)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    for count, expected in ((7, 7), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda count=count: count)
        assert usable_cores() == expected
