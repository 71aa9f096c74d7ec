"""A plugin that does not load is named by every command that needs the stages, and stops none of them."""

import subprocess
import sys

import pytest

COMMANDS = (
    ("--help",),
    ("plan", "demo"),
    ("run", "demo", "--dry-run"),
    ("synthesize", "--dry-run"),
    ("sft", "--help"),
    ("schema",),
)


def burnish(*words, **environment):
    command = [sys.executable, "-m", "burnish.cli.main", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment or None)


@pytest.fixture
def broken(install, workspace, monkeypatch):
    install("extra-stages", {"burnish.stages": {"more": "extra_stages:X"}}, "import a_package_that_nobody_has")
    monkeypatch.setenv("BURNISH_WORKSPACE", str(workspace.root))


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.usefixtures("broken")
def test_a_broken_plugin_is_reported_once_and_the_command_goes_ahead(words):
    done = burnish(*words)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert done.stderr.startswith("warning: the plugin 'more' of extra-stages 1.0 (burnish.stages: extra_stages:X) ")
    assert done.stderr.count("a_package_that_nobody_has") == 1
    assert "pip uninstall extra-stages" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("broken")
def test_a_recipe_that_uses_a_stage_of_a_broken_plugin_says_why_it_is_unknown(tmp_path):
    (tmp_path / "r.yaml").write_text("name: r\nsteps:\n  s: {stage: more}\n")
    done = burnish("plan", str(tmp_path / "r.yaml"))
    assert done.returncode == 5
    assert "r.yaml:3" in done.stderr
    assert "error: " in done.stderr
    assert "unknown stage 'more'; left out: the plugin 'more' of extra-stages 1.0" in done.stderr


SPEC = (
    'from burnish.core.catalog import Stage\nX = Stage("lazy", "no_such_module:Spec", "no_such_module:run", "dataset")'
)


@pytest.mark.parametrize("words", [("--help",), ("schema",), ("plan", "demo")], ids=" ".join)
def test_a_stage_whose_settings_do_not_load_stops_no_other_command(install, words):
    install("lazy-stages", {"burnish.stages": {"lazy": "lazy_stages:X"}}, SPEC)
    done = burnish(*words)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    called = burnish("lazy")
    assert called.returncode == 5
    assert "the spec no_such_module:Spec of stage 'lazy' cannot be loaded" in called.stderr
