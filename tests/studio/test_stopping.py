"""A request to stop belongs to the whole run: by Ctrl-C, by `runs stop`, or because the output was closed."""

import json
import os
import signal
import threading
from pathlib import Path

import pytest

import burnish
from burnish.core.errors import AskError, RunError
from burnish.core.faults import as_burnish_error
from burnish.studio.executing import results, stopping
from burnish.studio.executing.stopping import StopRequests, request_stop


def events(workspace, name):
    path = workspace.runs / name / "events.jsonl"
    return path.read_text() if path.exists() else ""


DEAF_THEN_MORE = {
    "name": "r",
    "steps": {
        "first": {"stage": "quick-make"},
        "deaf": {"stage": "quick-slow", "release": "RELEASE", "deaf": True},
        "more": {"stage": "quick-make", "word": "more"},
    },
}


@pytest.fixture
def deaf_then_more(tmp_path):
    """A recipe whose second step does not listen and soon ends by itself, as a short one does."""
    recipe = json.loads(json.dumps(DEAF_THEN_MORE).replace("RELEASE", str(tmp_path / "go")))
    return recipe, tmp_path / "go"


def test_ctrl_c_during_a_short_step_starts_no_further_one(command, deaf_then_more, workspace, until):
    recipe, go = deaf_then_more
    process = command(recipe)
    until(lambda: '"work"' in events(workspace, "r/1/deaf"))
    process.send_signal(signal.SIGINT)
    until(lambda: "stopping" in (workspace.runs / "r/1/deaf/console.log").read_text())
    go.touch()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 6
    assert "run r/1 was stopped before step 'more'; finished: first, deaf" in said
    assert "burnish runs resume r/1" in said
    assert not (workspace.runs / "r/1/more").exists()
    result = burnish.resume("r/1", workspace=workspace.root)
    assert [step.action for step in result.steps.values()] == ["reuse", "reuse", "run"]


def test_runs_stop_during_a_short_step_starts_no_further_one(
    quick_stages, deaf_then_more, workspace, in_background, until
):
    recipe, go = deaf_then_more
    thread, errors = in_background(recipe)
    until(lambda: '"work"' in events(workspace, "r/1/deaf"))
    assert burnish.stop("r/1", workspace=workspace.root) == ["r/1"]
    go.touch()
    thread.join()
    assert [error.code for error in errors] == ["run.interrupted"]
    assert "before step 'more'" in errors[0].what
    assert not (workspace.runs / "r/1/more").exists()
    with pytest.raises(AskError) as caught:
        burnish.stop("r/1", workspace=workspace.root)
    assert caught.value.code == "ask.nothing-to-do"


def test_a_second_request_ends_a_step_that_does_not_listen(
    quick_stages, deaf_then_more, workspace, in_background, until
):
    thread, errors = in_background(deaf_then_more[0])
    until(lambda: '"work"' in events(workspace, "r/1/deaf"))
    burnish.stop(workspace=workspace.root)
    burnish.stop(workspace=workspace.root)
    thread.join(10)
    assert not thread.is_alive()
    assert [error.code for error in errors] == ["run.interrupted"]


@pytest.mark.parametrize("how", ["signal", "file"])
def test_a_request_between_two_steps_is_heard(recipe, workspace, how):
    class Between(results.SilentWatcher):
        def on_step_end(self, step, run):
            if how == "signal":
                signal.raise_signal(signal.SIGINT)
            else:
                burnish.stop("r", workspace=workspace.root)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(RunError) as caught:
        burnish.run(recipe, workspace=workspace.root, watcher=Between())
    assert caught.value.code == "run.interrupted"
    assert caught.value.what == "run r/1 was stopped before step 'join'; finished: make"
    assert signal.getsignal(signal.SIGINT) is before
    assert [run.folder.name for run in workspace.all_runs()] == ["make"]


def test_a_request_in_the_last_step_leaves_a_finished_run(recipe, workspace):
    class Late(results.SilentWatcher):
        def on_step_end(self, step, run):
            if step.step.name == "join":
                burnish.stop("r", workspace=workspace.root)

    result = burnish.run(recipe, workspace=workspace.root, watcher=Late())
    assert list(result.steps) == ["make", "join"]


def test_ctrl_c_while_planning_starts_nothing(recipe, workspace, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("burnish.core.fingerprint.of_file", interrupted)
    (workspace.root / "words.txt").write_text("a\n")
    recipe["steps"]["join"]["source"] = "file:words.txt"
    for verb in (burnish.plan, burnish.run):
        with pytest.raises(RunError, match="no step has started") as caught:
            verb(recipe, workspace=workspace.root)
        assert caught.value.code == "run.interrupted"
    assert not workspace.runs.exists()


def test_a_worker_that_does_not_listen_yet_is_stopped_as_one_that_does(quick_stages, workspace):
    """Its first tenth of a second is Python's own start."""

    class AtOnce(results.SilentWatcher):
        def on_step_start(self, step, run):
            burnish.stop("r", workspace=workspace.root)

    recipe = {"name": "r", "steps": {"s": {"stage": "quick-slow", "release": "never"}}}
    with pytest.raises(RunError) as caught:
        burnish.run(recipe, workspace=workspace.root, watcher=AtOnce())
    assert caught.value.code == "run.interrupted"
    assert caught.value.what.startswith("run r/1 was stopped in step 's'")


def test_a_resumed_step_is_stopped_by_the_name_of_its_folder_too(
    quick_stages, workspace, in_background, until, tmp_path
):
    recipe = {"name": "r", "steps": {"s": {"stage": "quick-slow", "release": str(tmp_path / "go")}}}
    for number in (1, 2):
        thread, errors = in_background(recipe)
        until(lambda number=number: events(workspace, "r/1/s").count('"work"') == number)
        assert burnish.stop("r/1/s", workspace=workspace.root) == [f"r/{number}"]
        thread.join()
        assert [error.code for error in errors] == ["run.interrupted"]
        assert f"run r/{number} was stopped in step 's', saved" in errors[0].what


def test_a_reader_that_goes_away_lets_the_step_save(command, workspace, until):
    recipe = {
        "name": "r",
        "steps": {"tune": {"stage": "quick-talk", "release": "never"}, "more": {"stage": "quick-make"}},
    }
    process = command(recipe)
    until(lambda: '"talking 3"' in events(workspace, "r/1/tune"))
    process.stdout.close()
    process.wait(60)
    said = process.stderr.read()
    assert process.returncode == 6
    assert "the output was closed: run r/1 was stopped in step 'tune', saved" in said
    assert "Traceback" not in said
    (run,) = workspace.all_runs()
    assert (run.state, run.record["error"]["what"]) == ("interrupted", "stopped after it was saved")


@pytest.mark.parametrize("signals", [[signal.SIGINT], [signal.SIGTERM], [signal.SIGTERM] * 2, [signal.SIGHUP] * 2])
def test_a_signal_with_a_closed_output_is_one_request(command, workspace, until, signals):
    """`| tee` dies of the same Ctrl-C; a closed terminal sends SIGHUP twice: the step must save all the same."""
    process = command({"name": "r", "steps": {"tune": {"stage": "quick-talk", "release": "never", "pause": 0.3}}})
    until(lambda: '"talking 1"' in events(workspace, "r/1/tune"))
    process.stdout.close()
    for number in signals:
        process.send_signal(number)
    process.wait(60)
    assert process.returncode == 6
    assert "run r/1 was stopped in step 'tune', saved" in process.stderr.read()
    (run,) = workspace.all_runs()
    assert (run.state, run.record["error"]["what"]) == ("interrupted", "stopped after it was saved")


def test_requests_are_counted_from_here_and_from_elsewhere(tmp_path):
    with StopRequests(tmp_path / "stop") as stops:
        assert not stops.requested
        request_stop(tmp_path / "stop")
        assert stops.requested
        assert list(stops.new()) == [False]
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
        assert list(stops.new()) == [True, True]
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    with StopRequests(tmp_path / "other") as stops:
        stops.request_once()
        for expected in ([False], [True]):  # the first Ctrl-C may be what made us ask
            os.kill(os.getpid(), signal.SIGINT)
            stops.request_once()
            assert list(stops.new()) == expected
    counted = []

    def elsewhere():
        with StopRequests(tmp_path / "stop") as stops:
            counted.extend(stops.new())

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert counted == [False]


def test_only_a_later_ctrl_c_is_a_second_request(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(stopping.time, "monotonic", lambda: now[0])
    asked, kept = [], signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored by programs in the background
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    with stopping.StopSignals(2.0).calling(lambda: asked.append(now[0])):
        for moment, number in [(1, "TERM"), (1, "INT"), (2, "HUP"), (9, "TERM"), (9, "HUP"), (9, "INT"), (9, "INT")]:
            now[0] = moment
            signal.raise_signal(getattr(signal, f"SIG{number}"))
    assert asked == [1, 9, 9]
    assert before == {number: signal.getsignal(number) for number in before}
    signal.signal(signal.SIGINT, kept)


def test_a_signal_that_nohup_ignores_stays_ignored():
    before, asked = signal.signal(signal.SIGHUP, signal.SIG_IGN), []
    try:
        with stopping.StopSignals().calling(lambda: asked.append(1)):
            signal.raise_signal(signal.SIGHUP)
        assert asked == []
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full is Linux's")
def test_a_stop_that_does_not_fit_on_the_disk_names_its_file():
    with pytest.raises(OSError, match="No space left") as caught:
        request_stop(Path("/dev/full"))
    assert as_burnish_error(caught.value, "").what == "the disk is full: /dev/full"
