"""A step in several processes: all end well, or the one that failed is named, and none is left."""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from burnish.core.errors import RunError
from burnish.core.events import read_events
from burnish.jobs.ranks import group


def is_running(pid):
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.fixture
def shared(prepared, tmp_path):
    """A run of so many processes."""
    return lambda processes=3, **values: prepared(
        "quick-share", release=str(tmp_path / "release"), launch={"processes": processes}, **values
    )


def pids(run, processes=3):
    """The process ids of the ranks, once all are there."""
    place, end = run.scratch / "there", time.monotonic() + 30
    while time.monotonic() < end:
        found = [path.read_text() for path in sorted(place.glob("*"))]
        if len(found) == processes and all(found):
            return [int(text) for text in found]
        time.sleep(0.01)
    raise TimeoutError(run.name)


def released(tmp_path):
    (tmp_path / "release").write_text("")


def test_the_first_process_reports_and_makes_the_artifact(shared, finish, tmp_path):
    released(tmp_path)
    run = shared()
    ended = finish(run)
    assert (ended.status, ended.state) == (0, "succeeded")
    assert run.artifact().measures == {"processes": 3}
    assert (run.out / "words.txt").read_text() == "by 0"
    assert [event.text for event in read_events(run.events.path) if event.kind == "note"] == ["rank 0 of 3 is there"]
    assert "rank 0 of 3 prints" in run.log.read_text()
    assert ["prints" in group.log_of(run, rank).read_text() for rank in (1, 2)] == [True, True]


@pytest.mark.parametrize(
    ("rank", "how", "what"),
    [
        (0, "error", "rank 0 cannot"),
        (2, "error", "process 3 of 3: rank 2 cannot"),
        (1, "exit", "process 2 of 3 exited with status 9 without an error"),
        (1, "abrupt", "process 2 of 3 exited with status 3 without an error"),
    ],
)
def test_a_process_that_fails_ends_the_step_with_its_own_error_and_the_others_with_it(shared, capfd, rank, how, what):
    run = shared(fails=rank, how=how)
    began = time.monotonic()
    with pytest.raises(RunError) as error:
        group.run_ranks(run, 3, lambda: False)
    assert (error.value.code, error.value.what) == ("run.failed", what)
    assert time.monotonic() - began < 30
    assert not any(map(is_running, pids(run)))
    shown = capfd.readouterr().err
    assert (f"the end of the log of process {rank + 1} of 3, {group.log_of(run, rank)}:" in shown) is (rank > 0)
    assert ("rank 1 of 3 prints" in shown) is (rank == 1)


@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_that_is_killed_ends_the_step_by_its_name(shared, rank):
    run = shared(2)
    with ThreadPoolExecutor() as pool:
        found = pool.submit(group.run_ranks, run, 2, lambda: False)
        killed = pids(run, 2)
        os.kill(killed[rank], signal.SIGKILL)
        with pytest.raises(RunError) as error:
            found.result(30)
    assert (error.value.code, error.value.what) == ("run.killed", f"process {rank + 1} of 2 was killed by SIGKILL")
    assert not any(map(is_running, killed))


def test_no_process_is_left_by_a_worker_that_is_killed(shared, started):
    run = shared()
    process = started(run)
    left = pids(run)
    os.kill(process.pid, signal.SIGKILL)
    end = time.monotonic() + 10
    while any(map(is_running, left)) and time.monotonic() < end:
        time.sleep(0.01)
    assert not any(map(is_running, left))


def test_a_stop_is_passed_on_and_the_step_is_interrupted(shared, started, finish):
    run = shared()
    process = started(run)
    pids(run)
    process.send_signal(signal.SIGTERM)
    ended = finish(run, process)
    assert (ended.code, ended.state) == ("run.interrupted", "interrupted")


def test_a_process_that_is_stopped_is_named_and_the_others_end(shared, monkeypatch):
    monkeypatch.setattr(group, "_SILENT_SECONDS", 2.0)
    run = shared(2, fails=1, how="stopped")
    with pytest.raises(RunError, match=r"process 2 of 2 .* has done nothing for 2 seconds") as error:
        group.run_ranks(run, 2, lambda: False)
    assert error.value.code == "run.rank-silent"
    assert not any(map(is_running, pids(run, 2)))


def test_no_process_counts_as_silent_while_the_one_that_watches_slept(shared, monkeypatch, tmp_path):
    monkeypatch.setattr(group, "_SILENT_SECONDS", 2.0)
    run, slept = shared(2), []

    def is_stopping():
        if not slept and (run.scratch / "there").is_dir():
            for pid in pids(run, 2):
                os.kill(pid, signal.SIGSTOP)
            time.sleep(4)  # as after a suspension of all processes
            for pid in pids(run, 2):
                os.kill(pid, signal.SIGCONT)
            slept.append(1)
            threading.Timer(1, lambda: released(tmp_path)).start()
        return False

    assert group.run_ranks(run, 2, is_stopping).measures == {"processes": 2}
    assert slept


def test_the_processes_know_who_they_are_as_those_of_torchrun(shared, tmp_path, monkeypatch):
    released(tmp_path)
    run = shared(2)
    monkeypatch.delenv("GLOO_SOCKET_IFNAME", raising=False)
    found = [group._environment(run, rank, 2) for rank in range(2)]
    assert [(one["RANK"], one["LOCAL_RANK"], one["WORLD_SIZE"]) for one in found] == [("0", "0", "2"), ("1", "1", "2")]
    assert len({one["BURNISH_MEETING"] for one in found}) == 1
    assert Path(found[0]["BURNISH_MEETING"]).is_relative_to(run.scratch)
