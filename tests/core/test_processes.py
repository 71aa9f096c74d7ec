"""Work in child processes: the same results in the same order, and no orphaned child."""

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
from burnish.core.processes import map_in_order


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


def test_only_a_few_chunks_are_in_flight():
    taken = []

    def chunks():
        for number in range(100, 200):
            taken.append(number)
            yield number

    stream = map_in_order(Squares(), chunks(), processes=2, alone_for=0.0)
    for _ in range(3):
        next(stream)
    assert len(taken) <= 8
    stream.close()


PARENT = """
import sys
from tests_of_processes import Squares
from burnish.core.processes import map_in_order
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
