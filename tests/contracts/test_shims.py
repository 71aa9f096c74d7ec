"""Scripts at the root and in the image of the server: they pass on their words and their status."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = [ROOT / "docker" / "serve.sh", ROOT / "run_pipeline.sh"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_pass_shellcheck(script):
    program = Path(sys.executable).with_name("shellcheck")
    done = subprocess.run([program, "--severity", "style", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert script.stat().st_mode & 0o111
    assert b"\r" not in script.read_bytes()


VERBS = ("up", "down", "bash", "logs")
BAT = (ROOT / "run_pipeline.bat").read_bytes()


@pytest.mark.parametrize("verb", VERBS)
def test_both_shims_pass_on_the_verbs_of_containers(verb):
    assert f'if /i "%~1"=="{verb}" goto verb' in BAT.decode()
    assert verb in re.search(r"^ +([\w |]+)\) exec \"\$burnish\" \"\$@\"", SCRIPTS[1].read_text(), re.M)[1].split(" | ")


def test_the_shim_of_windows_keeps_its_status_its_quotes_and_its_line_ends():
    lines = BAT.decode("ascii").split("\r\n")
    assert b"\n" not in BAT.replace(b"\r\n", b"")
    assert lines[0] == "@echo off"
    calls = [number for number, line in enumerate(lines) if line.startswith('"%BURNISH%"')]
    assert [lines[number + 1] for number in calls] == ["exit /b %ERRORLEVEL%"] * 2
    labels = {line[1:] for line in lines if line.startswith(":")}
    assert set(re.findall(r"goto (\w+)", BAT.decode())) == labels
    for line in lines:
        if "%~dp0" in line or "%BURNISH%" in line:
            assert re.search(r'"[^"]*(?:%~dp0|%BURNISH%)[^"]*"', line), "a path may have spaces"


@pytest.fixture
def shim(tmp_path):
    """The shim beside an environment whose burnish prints its words, in a folder with a space."""
    folder = tmp_path / "a folder"
    (folder / ".venv" / "bin").mkdir(parents=True)
    program = folder / ".venv" / "bin" / "burnish"
    program.write_text('#!/bin/sh\nprintf "<%s>" "$@"\nexit 6\n')
    program.chmod(0o755)
    return shutil.copy(SCRIPTS[1], folder)


@pytest.mark.parametrize(
    ("words", "printed", "status"),
    [
        (("my recipe.yaml", "--set", "a=b c"), "<run><my recipe.yaml><--set><a=b c>", 6),
        (("up", "train", "--", "--name", "x y"), "<up><train><--><--name><x y>", 6),
        (("down",), "<down>", 6),
        ((), "", 2),
    ],
)
def test_the_shell_shim_passes_on_its_words_and_the_status(shim, words, printed, status):
    done = subprocess.run([shim, *words], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == (printed, status)
    assert bool(done.stderr) == (status == 2)


def test_the_shell_shim_without_burnish_says_how_to_install_it(shim):
    (Path(shim).parent / ".venv" / "bin" / "burnish").unlink()
    done = subprocess.run([shim, "x.yaml"], capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin"})
    assert done.returncode == 5
    assert "hint:" in done.stderr


@pytest.mark.parametrize(
    ("variables", "status", "printed"),
    [
        ({}, 2, ""),
        ({"BURNISH_MODEL": "a@production"}, 0, "serve --model a@production --host 0.0.0.0 --allow-no-key true"),
        (
            {"BURNISH_MODEL": "a b", "BURNISH_API_KEY": "k"},
            0,
            "serve --model a b --host 0.0.0.0 --api-key-env BURNISH_API_KEY",
        ),
    ],
)
def test_the_server_of_the_image_needs_a_model_and_takes_a_key(variables, status, printed, tmp_path):
    (tmp_path / "burnish").write_text('#!/bin/sh\necho "$*"\n')
    (tmp_path / "burnish").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", **variables}
    done = subprocess.run([SCRIPTS[0]], capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stdout.strip()) == (status, printed)
    assert "BURNISH_API_KEY" not in printed or "k" not in printed.split()
