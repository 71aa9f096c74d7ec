"""What a person sees on a terminal while a recipe runs: on a real one, with a bar that moves."""

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

import artifacts
import burnish
from burnish.cli.progress import TerminalWatcher
from burnish.core.events import Metric, Note, Progress, StateChanged, Table
from burnish.studio.executing.results import RunResult, StepResult


@pytest.fixture
def watched(quick_stages, workspace):
    """Run a stage under a watcher; gives what the terminal showed."""

    def watched(stage, terminal, **values):
        screen = io.StringIO()
        console = Console(file=screen, force_terminal=terminal, width=100, highlight=False)
        watcher = TerminalWatcher(console)
        try:
            result = burnish.run_stage(stage, workspace=workspace.root, watcher=watcher, **values)
        except burnish.BurnishError:
            return screen.getvalue()
        assert result.path.is_dir()
        return screen.getvalue()

    return watched


@pytest.mark.parametrize("terminal", [True, False])
def test_a_run_is_shown_and_kept_in_its_console_log_without_colours(watched, workspace, terminal, tmp_path):
    (tmp_path / "go").touch()
    shown = watched("quick-slow", terminal, release=str(tmp_path / "go"))
    assert "quick-slow" in shown
    assert ("\x1b[" in shown) is terminal
    log = (workspace.runs / "quick-slow/1/quick-slow/console.log").read_text()
    assert "✓ quick-slow" in log
    assert "\x1b" not in log


@pytest.mark.parametrize("terminal", [True, False])
def test_a_failed_step_is_crossed_out(watched, terminal):
    shown = watched("quick-fail", terminal, how="value")
    assert "✗" in shown
    assert "failed after" in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize("terminal", [True, False])
def test_a_result_that_is_refused_is_crossed_out_also_when_it_is_reused(watched, terminal):
    for _ in range(2):
        shown = watched("quick-make", terminal, certified=True)
        assert "✗" in shown
        assert "✓" not in shown
    assert "reused" in shown


def test_markup_in_what_a_stage_says_is_text(watched):
    assert "noted [bold]not bold[/]" in watched("quick-fail", False, how="print", token="[bold]not bold[/]")
    assert "noted [/nonsense" in watched("quick-fail", False, how="print", token="[/nonsense]")


NUMBERS = {"loss": 1.2345, "eval_loss": 1.5, "learning_rate": 1.2e-4, "tokens_per_second": 12345.6}


@pytest.mark.parametrize("width", [60, 80, 130])
def test_the_bar_and_the_time_left_fit_the_terminal(quick_stages, workspace, width, tmp_path):
    screen = io.StringIO()
    watcher = TerminalWatcher(Console(file=screen, force_terminal=True, width=width, color_system=None))
    plan = burnish.plan({"name": "x", "steps": {"talk": {"stage": "quick-talk", "release": "go"}}})
    run = workspace.run("x", 1, "talk")
    run.folder.mkdir(parents=True)
    watcher.on_step_start(plan.steps[0], run)
    watcher.on_event(plan.steps[0], Metric(step=1, values=NUMBERS))
    watcher.on_event(plan.steps[0], Progress(phase="tokenise validation", done=1234, total=200000))
    watcher._bar.refresh()
    watcher._bar.stop()
    watcher._close_log()
    lines = [line for line in re.split(r"[\r\n]|\x1b\[[0-9;?]*\w", screen.getvalue()) if "tokenise" in line]
    assert lines
    assert max(map(len, lines)) <= width
    assert all(re.search(r"validation[ ━╺╸]{8,}1,234/200,000 rows", line) for line in lines), lines
    assert all("-:--:--" in line for line in lines)
    assert ("lr 0.00012" in lines[-1]) is (width == 130)


def test_a_command_in_a_note_is_one_line_however_narrow_the_terminal_is(quick_stages, workspace):
    screen, command = (
        io.StringIO(),
        "curl http://127.0.0.1:8001/v1/models -H 'Content-Type: application/json' [/nonsense",
    )
    watcher = TerminalWatcher(Console(file=screen, force_terminal=True, width=40, color_system=None))
    plan = burnish.plan({"name": "x", "steps": {"talk": {"stage": "quick-talk", "release": "go"}}})
    run = workspace.run("x", 1, "talk")
    run.folder.mkdir(parents=True)
    watcher.on_step_start(plan.steps[0], run)
    watcher.on_event(plan.steps[0], Note(level="command", text=command))
    watcher._bar.stop()
    watcher._close_log()
    assert f"  {command}\n" in screen.getvalue().replace("\r", "")
    assert f"  {command}\n" in (run.folder / "console.log").read_text()


def test_the_steps_of_a_second_run_are_counted_from_one(quick_stages, workspace):
    screen = io.StringIO()
    watcher = TerminalWatcher(Console(file=screen, force_terminal=False, width=100))
    for word in ("one", "two"):
        burnish.run_stage("quick-make", workspace=workspace.root, watcher=watcher, word=word)
    assert screen.getvalue().count("1/1 quick-make") == 2


def test_a_gguf_file_can_be_chatted_with_and_served_next(quick_stages, workspace):
    screen = io.StringIO()
    run = artifacts.write_artifact(workspace, "file", kind="gguf", files={"file-F16.gguf": "GGUF"})
    result = RunResult("r", 1, {"file": StepResult("file", "run", run, run.artifact())})
    TerminalWatcher(Console(file=screen, force_terminal=False, width=100)).print_summary(result)
    assert "chat r.file@latest" in screen.getvalue()
    assert "serve r.file@latest" in screen.getvalue()


@pytest.mark.parametrize(("kind", "is_shown"), [("evaluation", True), ("comparison", True), ("dataset", False)])
def test_the_tables_and_warnings_of_a_reused_result_are_shown_again(quick_stages, workspace, kind, is_shown):
    screen = io.StringIO()
    watcher = TerminalWatcher(Console(file=screen, force_terminal=False, width=80))
    (step,) = burnish.plan({"name": "r", "steps": {"score": {"stage": "quick-make", "word": "x"}}}).steps
    run = artifacts.write_artifact(workspace, "score", kind=kind)
    for attempt in ("killed", "whole"):
        run.events.append(StateChanged(state="running"))
        run.events.append(Table(title=f"{attempt} scores", columns=["exact match"], rows=[["0.75"]]))
        run.events.append(Note(level="warning", text="few rows"))
        run.events.append(Note(text="read 3 rows"))
    reused = replace(step, action="reuse", run=run)
    watcher.on_step_start(reused, run)
    watcher.on_step_end(reused, run)
    shown = screen.getvalue()
    assert "reused" in shown
    assert [("whole scores" in shown), ("0.75" in shown), ("few rows" in shown)] == [is_shown] * 3
    assert "killed scores" not in shown
    assert "read 3 rows" not in shown


def test_progress_goes_to_standard_error_where_there_is_no_terminal(watched, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr("burnish.cli.progress._PLAIN_EVERY", 0.0)
    (tmp_path / "go").touch()
    shown = watched("quick-slow", False, release=str(tmp_path / "go"))
    assert "work 1/2" not in shown
    assert "work 1/2 rows" in capfd.readouterr().err


@pytest.mark.parametrize("width", [60, 80, 160])
def test_paths_and_commands_of_the_summary_are_not_broken(quick_stages, workspace, width):
    screen = io.StringIO()
    watcher = TerminalWatcher(Console(file=screen, force_terminal=False, width=width, highlight=False))
    name = "a-recipe-with-a-long-name"
    recipe = {"name": name, "steps": {"make-some-words": {"stage": "quick-make", "word": "x"}}}
    watcher.print_summary(burnish.run(recipe, workspace=workspace.root))
    shown = screen.getvalue()
    assert f"runs/{name}/1/make-some-words/out" in shown
    assert re.search(rf"^next: .*runs show {name}/1$", shown, re.M)
    assert "make-some-words" in shown.split("runs/")[0]
