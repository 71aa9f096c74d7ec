"""A real Chromium on `burnish ui`: the scripts of web/journey, and what they say."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from page_tools import WEB, built, lacking, tool

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def visited(tmp_path_factory):
    """A folder for a workspace; the journey leaves a run in it."""
    built()
    tool("vite")
    if CHROMIUM is None:
        lacking("chromium is not installed")
    return tmp_path_factory.mktemp("visited")


@pytest.fixture(scope="module")
def browse(visited):
    """Run a script of web/journey on the workspace; gives its lines."""

    def browse(script, **variables):
        environment = {
            **os.environ,
            "BURNISH": str(Path(sys.executable).with_name("burnish")),
            "WORKSPACE": str(visited / "work"),
            "CHROMIUM": str(CHROMIUM),
            "SHOTS": os.environ.get("BURNISH_SHOTS", str(visited / "shots")),
            **variables,
        }
        done = subprocess.run(
            ["node", str(WEB / "journey" / script)], env=environment, stdout=subprocess.PIPE, timeout=480, check=False
        )
        return [json.loads(line) for line in done.stdout.splitlines()]

    return browse
