"""Every screen in a real Chromium: both widths, both themes, no fault of axe, of the policy, of the console."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from burnish.studio.serving.logins import new_login
from page_tools import ROOT, WEB, browse, built, chromium, studio, tool

VALUES = {"$recipe": "checks", "$number": "1", "$name": "no-such"}
TREE = (WEB / "src" / "routes" / "tree.tsx").read_text(encoding="utf-8")
SCREENS = [path for path in re.findall(r'path: "(/[^"]*)"', TREE) if path != "/login" and "$name" not in path]


def address(path):
    for name, value in VALUES.items():
        path = path.replace(name, value)
    return path


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A workspace with one run."""
    built(), chromium(), tool("playwright-core")
    folder = tmp_path_factory.mktemp("studio")
    shutil.copytree(ROOT / "recipes" / "checks", folder / "recipes" / "checks")
    recipe = ROOT / "recipes" / "checks.yaml"
    command = [sys.executable, "-m", "burnish.cli.main", "--workspace", str(folder), "run", str(recipe)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def address_of(workspace):
    """The address of its studio."""
    with studio(workspace) as login:
        yield login.partition("login#")[0]


@pytest.fixture
def login(workspace, address_of):
    """An address that logs in once."""
    return f"{address_of}login#token={new_login(workspace=workspace)}"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Where the pictures go; BURNISH_SCREENSHOTS names a folder to keep them."""
    kept = os.environ.get("BURNISH_SCREENSHOTS")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("screens")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.mark.some
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_every_screen_is_drawn_without_a_fault(login, pictures, theme, width):
    paths = [address(path) for path in SCREENS]
    assert len(paths) > 10
    assert browse("screens.mjs", login, str(pictures), theme, str(width), *paths) == []
    assert len(list(pictures.glob(f"*-{width}-{theme}.png"))) == len(paths)


def test_the_frame_of_all_screens_does_what_it_says(login):
    assert browse("shell.mjs", login) == []


def test_a_conversation_is_held_by_the_keyboard_and_survives_a_reload(login):
    assert browse("playground.mjs", login) == []
