"""What a person sees on a terminal while a recipe runs: on a real one, with a bar that moves."""

import io

import pytest
from rich.console import Console

import burnish
from burnish.cli.watching import TerminalWatcher


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


def test_markup_in_what_a_stage_says_is_text(watched):
    assert "noted [bold]not bold[/]" in watched("quick-fail", False, how="print", token="[bold]not bold[/]")
    assert "noted [/nonsense" in watched("quick-fail", False, how="print", token="[/nonsense]")
