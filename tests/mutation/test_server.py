"""The fork server tells a mutant that a test sees from one that no test sees, worker processes included."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

TOY = """
import os, subprocess, sys, time

def double(a):
    return a + a

def unseen(a):
    return a * 2

def slow(a):
    time.sleep(a * 0)
    return a

def end(a):
    if a < 0:
        os._exit(3)
    return a

def in_a_process(a):
    code = f"import toy; print(toy.double({a}))"
    return int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
"""
TESTS = """
import toy

def test_double():
    assert toy.double(3) == 6

def test_unseen():
    assert toy.unseen(1)

def test_slow():
    assert toy.slow(5) == 5

def test_end():
    assert toy.end(1) == 1

def test_process():
    assert toy.in_a_process(4) == 8
"""
SCRIPT = """
import json, sys
from pathlib import Path
from mutation import server as servers
from mutation.child import Job
from mutation.hits import Instrumentation
from mutation.hook import write
from mutation.scope import Source

servers.AT_LEAST = 3.0
root = Path(sys.argv[1])
path = root / "src" / "toy.py"
server = servers.Server(2, first=("numpy",))
say = {}

made = Instrumentation([Source("toy.py", path)], root / "map", "toy")
job = Job("map", ("tests/test_toy.py",), made.plan("toy"), first_failure_ends=False, root=root, by_file=made.by_file)
[result] = server.run([job])
say["map"] = [result.outcome, {test.partition("::")[2]: ran for test, (_, ran) in result.ran.items()}]

def job(name, test, old, new):
    text = path.read_text()
    assert old in text
    codes = {str(path): compile(text.replace(old, new), str(path), "exec")}
    plan = write(root / f"{name}.plan", codes, package="toy")
    return Job(name, ("tests/test_toy.py",), plan, {f"tests/test_toy.py::test_{test}": 0.01}, root=root)

jobs = [
    job("seen", "double", "a + a", "a - a"),
    job("unseen", "unseen", "a * 2", "a * 3"),
    job("in a process", "process", "a + a", "a + a + 1"),
    job("timeout", "slow", "a * 0", "a * 60"),
    job("crash", "end", "a < 0", "a > 0"),
    job("at import", "double", "import os,", "import os_that_is_not_there,"),
]
for result in server.run(jobs):
    say[result.job.name] = [result.outcome, result.test]
print(json.dumps(say))
server.close()
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    root = tmp_path_factory.mktemp("toy")
    for folder, name, text in (("src", "toy.py", TOY), ("tests", "test_toy.py", TESTS)):
        (root / folder).mkdir()
        (root / folder / name).write_text(text)
    (root / "pytest.ini").write_text("[pytest]\npythonpath = src\nmarkers =\n    torture: long\n    gpu: needs one\n")
    tests = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(root)],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{tests}:{root / 'src'}"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_fault_that_a_test_sees_is_killed_by_that_test(said):
    assert said["seen"] == ["failed", "tests/test_toy.py::test_double"]


def test_a_fault_that_no_test_sees_survives(said):
    assert said["unseen"][0] == "passed"


def test_a_fault_is_in_the_processes_that_a_test_starts(said):
    assert said["in a process"] == ["failed", "tests/test_toy.py::test_process"]


def test_an_endless_mutant_times_out_and_one_that_ends_the_process_crashes(said):
    assert said["timeout"][0] == "timeout"
    assert said["crash"][0] == "crash"


def test_a_module_that_cannot_be_imported_is_killed(said):
    assert said["at import"][0] == "failed"


def test_the_map_names_what_each_test_ran_in_any_process(said):
    outcome, ran = said["map"]
    assert outcome == "passed"
    double, unseen = (int(ran[name]["toy.py"], 16) for name in ("test_double", "test_unseen"))
    assert double & 2
    assert not double & 4
    assert unseen & 4
    assert int(ran["test_process"]["toy.py"], 16) & 2  # in another process
