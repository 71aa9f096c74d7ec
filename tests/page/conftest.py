"""Longer ways through the page: scripts of web/browser that start `burnish ui` themselves, and what they say."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from page_tools import WEB, built, chromium, tool


@pytest.fixture(scope="module")
def visited(tmp_path_factory):
    """A folder for a workspace; the journey leaves a run in it."""
    built(), chromium(), tool("playwright-core")
    return tmp_path_factory.mktemp("visited")


@pytest.fixture(scope="module")
def travel(visited):
    """Run a script of web/browser on the workspace; gives its lines."""

    def travel(script, **variables):
        environment = {
            **os.environ,
            "BURNISH": str(Path(sys.executable).with_name("burnish")),
            "WORKSPACE": str(visited / "work"),
            "CHROMIUM": chromium(),
            "SHOTS": os.environ.get("BURNISH_SCREENSHOTS", str(visited / "shots")),
            **variables,
        }
        done = subprocess.run(
            ["node", str(WEB / "browser" / script)], env=environment, stdout=subprocess.PIPE, timeout=480, check=False
        )
        return [json.loads(line) for line in done.stdout.splitlines()]

    return travel
