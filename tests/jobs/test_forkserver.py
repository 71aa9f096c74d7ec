"""Workers forked by a server: they differ from others in their parent only, and end when it does."""

import json
import os
import resource
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

import burnish.jobs.forkserver as forkserver
from burnish.jobs.environment import worker_environment
from burnish.jobs.forkserver import ForkedWorker, ForkServer, shared_server
from burnish.jobs.launchers.local import LocalLauncher


@pytest.fixture
def server(quick_stages):
    server = ForkServer(worker_environment(), libraries=())
    yield server
    server.close()


@pytest.fixture
def launcher(server):
    return LocalLauncher(server)


def parent_of(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_a_worker_is_forked_and_leaves_what_another_leaves(prepared, started, finish, launcher):
    own, forked = prepared("quick-make", word="hi", times=2), prepared("quick-make", word="hi", times=2)
    process = started(forked)
    assert isinstance(process, ForkedWorker)
    assert finish(forked, process).status == 0
    other = LocalLauncher().start(own)
    assert (other.wait(30), LocalLauncher().poll(other, own)) == (0, 0)
    records = [json.loads((run.folder / "artifact.json").read_text()) for run in (own, forked)]
    hashes = [{name: file["sha256"] for name, file in record["files"].items()} for record in records]
    assert hashes[0] == hashes[1]
    assert records[0]["measures"] == records[1]["measures"]


def test_a_worker_has_the_launchers_folder_and_variables(prepared, started, server, until, monkeypatch, tmp_path):
    run = prepared("quick-slow", release="never")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BURNISH_CANARY", "set after the server")
    process = started(run)
    assert isinstance(process, ForkedWorker)
    until(lambda: run.events.path.exists() and '"work"' in run.events.path.read_text())
    assert os.readlink(f"/proc/{process.pid}/cwd") == str(tmp_path)
    assert parent_of(process.pid) == server._process.pid
    assert os.getsid(process.pid) == process.pid
    held = {os.readlink(f"/proc/{process.pid}/fd/{number}") for number in os.listdir(f"/proc/{process.pid}/fd")}
    assert not any("socket" in name for name in held), "the server's socket is closed in a worker"


def test_several_workers_end_each_with_its_own_status(prepared, launcher, until):
    runs = [prepared("quick-slow", release="never"), prepared("quick-fail", how="value"), prepared("quick-make")]
    processes = [launcher.start(run) for run in runs]
    assert processes[2].wait(30) == 0
    assert processes[1].wait(30) > 0
    assert processes[0].poll() is None
    processes[0].kill()
    assert processes[0].wait(30) == -signal.SIGKILL
    assert processes[2].poll() == 0, "a status stays"


@pytest.mark.parametrize(
    "change",
    [
        lambda patch: patch.setenv("OMP_NUM_THREADS", "7"),
        lambda patch: patch.setenv("CUDA_VISIBLE_DEVICES", ""),
        lambda patch: patch.delenv("PYTHONPATH"),
        lambda patch: patch.setattr(resource, "getrlimit", lambda _: (1, 1)),
        lambda patch: patch.setattr(os, "sched_getaffinity", lambda _: {0}),
    ],
    ids=["variable", "device", "path", "limit", "cores"],
)
def test_other_surroundings_need_a_process_of_its_own(prepared, server, monkeypatch, change):
    change(monkeypatch)
    log = os.open(os.devnull, os.O_WRONLY)
    assert server.start([str(prepared("quick-make").folder)], worker_environment(), log, log) is None
    os.close(log)


@pytest.mark.parametrize("name", ["BURNISH_WORKSPACE", "TORCHINDUCTOR_CACHE_DIR", "LAB_API_KEY"])
def test_a_variable_that_no_import_reads_makes_no_other_surroundings(prepared, server, monkeypatch, name):
    """torch sets the second by itself, in the process of a launcher that imported its compiler."""
    monkeypatch.setenv(name, "/nowhere")
    log = os.open(os.devnull, os.O_WRONLY)
    worker = server.start([str(prepared("quick-make").folder)], worker_environment(), log, log)
    os.close(log)
    assert worker is not None
    worker.wait(30)


def test_a_worker_ends_when_its_server_is_killed(prepared, started, finish, launcher, server, until):
    run = prepared("quick-slow", release="never")
    process = started(run)
    until(lambda: run.events.path.exists() and '"work"' in run.events.path.read_text())
    server._process.kill()
    ended = finish(run, process)
    assert (ended.state, ended.code) == ("interrupted", "run.interrupted")
    run = prepared("quick-make")
    assert not isinstance(started(run), ForkedWorker), "the next has a process of its own"
    until(lambda: not run.is_alive() and run.state == "succeeded")


def test_server_and_workers_end_when_the_launcher_is_killed(prepared, until):
    run = prepared("quick-slow", release="never")
    code = (
        "import sys, time; from pathlib import Path; from burnish.core.runs.run import Run\n"
        "from burnish.jobs.forkserver import ForkServer\n"
        "from burnish.jobs.environment import worker_environment\n"
        "from burnish.jobs.launchers.local import LocalLauncher\n"
        "server = ForkServer(worker_environment(), libraries=()); print(server._process.pid, flush=True)\n"
        "LocalLauncher(server).start(Run(Path(sys.argv[1]))); time.sleep(60)"
    )
    launching = subprocess.Popen([sys.executable, "-c", code, str(run.folder)], stdout=subprocess.PIPE)
    pid = int(launching.stdout.readline())
    until(lambda: run.events.path.exists() and '"work"' in run.events.path.read_text())
    launching.kill()
    launching.communicate()
    until(lambda: not run.is_alive())
    assert run.record["state"] == "interrupted"
    until(lambda: not Path(f"/proc/{pid}").exists())


def test_threads_share_a_server(prepared, server):
    """Each gets its own worker and its own status."""
    runs = [prepared("quick-make", word=f"w{number}") for number in range(12)]

    def finished(run):
        launcher = LocalLauncher(server)
        process = launcher.start(run)
        assert isinstance(process, ForkedWorker)
        return process.wait(60), launcher.poll(process, run)

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(finished, runs)) == {(0, 0)}
    assert [(run.out / "words.txt").read_text() for run in runs] == [f"w{number}\n" for number in range(12)]


def test_a_server_outlives_the_thread_that_started_it(prepared, quick_stages):
    with ThreadPoolExecutor(1) as pool:
        server = pool.submit(lambda: ForkServer(worker_environment(), libraries=())).result()
    try:
        process = LocalLauncher(server).start(prepared("quick-make"))
        assert isinstance(process, ForkedWorker)
        assert process.wait(30) == 0
    finally:
        server.close()


def test_the_status_of_a_process_id_that_is_used_again_is_that_of_the_new_worker(prepared, server):
    first = LocalLauncher(server).start(prepared("quick-make"))
    assert first.wait(30) == 0
    again = ForkedWorker(server, first.pid, first._number + 1)
    assert server.status_of(again._number) is None
    assert first.poll() == 0


def test_a_library_that_is_not_installed_is_left_out(prepared, quick_stages):
    server = ForkServer(worker_environment(), libraries=("no_such_package",))
    try:
        run = prepared("quick-make")
        assert LocalLauncher(server).start(run).wait(30) == 0
    finally:
        server.close()


@pytest.fixture
def fresh_process(monkeypatch):
    """As if nothing was started yet; servers import nothing."""
    monkeypatch.setattr(forkserver, "_shared", None)
    monkeypatch.setattr(forkserver, "_starts", 0)
    monkeypatch.setattr(forkserver, "ForkServer", partial(ForkServer, libraries=()))


def test_the_first_single_step_has_a_process_of_its_own(fresh_process, monkeypatch):
    environment = worker_environment()
    assert shared_server(environment) is None
    second = shared_server(environment)
    assert second is shared_server(environment)
    second.close()
    assert shared_server(environment) is not second
    monkeypatch.setattr(forkserver, "IS_SUPPORTED", False)
    forkserver._shared.close()
    assert shared_server(environment) is None


def test_a_plan_of_several_steps_has_a_server_from_the_first(fresh_process):
    server = shared_server(worker_environment(), planned=2)
    assert server is not None
    server.close()


def test_a_server_that_hangs_keeps_no_other_worker_waiting_and_gets_no_more_requests(
    prepared, started, finish, server, until, monkeypatch, tmp_path
):
    run, words = prepared("quick-make", word="hi", times=1), [str(tmp_path / "none")]
    assert finish(run, started(run)).status == 0
    os.kill(server._process.pid, signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(2) as threads, open(os.devnull, "wb") as log:
            start = threads.submit(server.start, words, worker_environment(), log.fileno(), log.fileno())
            until(server._starting.locked)
            assert threads.submit(server.status_of, 99).result(10) is None
            assert not start.done()
            os.kill(server._process.pid, signal.SIGCONT)
            assert start.result(30).wait(30) != 0
            os.kill(server._process.pid, signal.SIGSTOP)
            monkeypatch.setattr(forkserver, "_ANSWER_SECONDS", 0.0)
            assert server.start(words, worker_environment(), log.fileno(), log.fileno()) is None
            assert server.is_stuck
    finally:
        os.kill(server._process.pid, signal.SIGCONT)
