"""The launcher: the environment of workers, and deaths that nobody explained."""

import contextlib
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from burnish.jobs.environment import worker_environment
from burnish.jobs.launchers import local


def test_workers_get_quiet_defaults_which_a_person_may_change(monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "true")
    found = worker_environment()
    assert (found["OMP_WAIT_POLICY"], found["TOKENIZERS_PARALLELISM"]) == ("PASSIVE", "true")


def test_the_cuda_allocator_grows_its_segments_unless_a_person_set_it_up(monkeypatch):
    names = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    assert worker_environment()["PYTORCH_ALLOC_CONF"] == "expandable_segments:True"
    for name in names:
        with monkeypatch.context() as one:
            one.setenv(name, "max_split_size_mb:128")
            found = worker_environment()
            assert {key: found.get(key) for key in names} == dict.fromkeys(names) | {name: "max_split_size_mb:128"}


FAULTS = """
import resource
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
bytearray(64 << 20)
before = faults()
for _ in range(3):
    bytearray(64 << 20)
print((faults() - before) * resource.getpagesize())
"""
"""Bytes of pages that the kernel hands out for a buffer of 64 MiB which the process had before."""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="settings of glibc")
@pytest.mark.parametrize(
    ("variable", "value", "is_kept"),
    [
        ("MALLOC_ARENA_MAX", "2", True),
        ("MALLOC_MMAP_THRESHOLD_", "1048576", False),
        ("GLIBC_TUNABLES", "glibc.malloc.mmap_threshold=1048576", False),
    ],
)
def test_a_worker_keeps_freed_memory_unless_the_user_set_the_allocator(monkeypatch, variable, value, is_kept):
    for name in [name for name in os.environ if name.startswith("MALLOC_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    monkeypatch.setenv(variable, value)
    worker = subprocess.run([sys.executable, "-c", FAULTS], env=worker_environment(), capture_output=True, check=True)
    assert (int(worker.stdout) < 1 << 20) == is_kept


class Dead:
    """A process that ended with a status."""

    pid = 1

    def __init__(self, status: int):
        self._status = status

    def poll(self) -> int:
        return self._status


@pytest.mark.parametrize(
    ("status", "state", "code"),
    [
        (-signal.SIGKILL, "failed", "run.killed"),
        (-signal.SIGTERM, "failed", "run.killed"),
        (128 + signal.SIGTERM, "interrupted", "run.interrupted"),
        (1, "failed", "run.failed"),
        (-signal.SIGRTMIN - 1, "failed", "run.killed"),
        (5, "failed", "run.failed"),
    ],
)
def test_a_worker_that_died_without_a_word_is_given_one(prepared, launcher, status, state, code):
    run = prepared("quick-make")
    run.transition("running")
    run.log.write_text("hf_" + "x" * 40 + "\nlast line\n")
    assert launcher.poll(Dead(status), run) == status
    assert (run.record["state"], run.record["error"]["code"]) == (state, code)
    assert "last line" in run.record["error"]["log"]
    assert "xxxx" not in (run.folder / "run.json").read_text()
    assert [event.code for event, _ in run.events.read() if event.kind == "failed"] == [code]


STARVED = """import resource
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 20),) * 2)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of address space")
def test_a_worker_that_finds_no_memory_to_start_is_told_as_such(prepared, finish, monkeypatch, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(STARVED)
    run = prepared("quick-make")
    with monkeypatch.context() as limited:
        limited.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
        found = finish(run)
    assert (found.state, found.code, found.exit_status) == ("failed", "machine.no-memory", 5)
    assert found.what.startswith("the worker ran out of memory: ")


@pytest.fixture
def memory_group():
    """The file of processes of a control group of 64 MiB, where this system lets one be made."""
    root = Path("/sys/fs/cgroup")
    root, limit = (root / "memory", "memory.limit_in_bytes") if (root / "memory").is_dir() else (root, "memory.max")
    group = root / f"burnish-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / limit).write_text(str(64 << 20))
    except OSError as error:
        with contextlib.suppress(OSError):
            group.rmdir()
        pytest.skip(f"no control group can be made: {error}")
    yield group / "cgroup.procs"
    group.rmdir()


def test_a_worker_that_the_system_kills_for_memory_says_so_within_10_s_with_its_last_lines(
    prepared, finish, memory_group
):
    began = time.monotonic()
    found = finish(prepared("quick-fail", how="hog", token=str(memory_group)))
    assert (found.state, found.code, found.exit_status) == ("failed", "machine.no-memory", 5)
    assert found.what == "the system killed the worker, because memory ran out"
    assert "smaller batch" in found.fix
    assert found.log.splitlines()[-50:] == [f"line {number}" for number in range(50, 100)]
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(("is_for_memory", "code"), [(True, "machine.no-memory"), (False, "run.killed")])
def test_a_kill_is_for_memory_if_the_system_has_counted_one(
    prepared, started, finish, until, monkeypatch, is_for_memory, code
):
    count = [3]
    monkeypatch.setattr(local, "kills_for_memory", lambda: count[0])
    run = prepared("quick-slow", release="never")
    process = started(run)
    until(lambda: (run.scratch / "checkpoints" / "1").exists())
    count[0] += is_for_memory
    process.kill()
    assert finish(run, process).code == code


def test_a_lack_of_memory_in_an_earlier_attempt_is_not_that_of_the_last(prepared, finish, monkeypatch, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import os; os._exit(1)")
    run = prepared("quick-make")
    run.log.write_text("MemoryError\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    assert finish(run).code == "run.failed"


def test_a_worker_that_another_took_over_from_is_not_recorded_as_dead(prepared, launcher):
    run = prepared("quick-make")
    run.transition("running")
    assert launcher.poll(Dead(75), run) == 75
    assert run.record["state"] == "running"


def test_a_worker_that_died_after_its_artifact_was_recorded_has_succeeded(prepared, launcher):
    run = prepared("quick-make")
    run.transition("running")
    (run.folder / "artifact.json").write_text("{}")
    launcher.poll(Dead(-signal.SIGKILL), run)
    assert run.record["state"] == "succeeded"
