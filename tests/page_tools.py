"""Where the page's sources, tools and built files are. Without Node their tests are skipped, unless CI insists."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WEB = ROOT / "web"
BUILT = ROOT / "src" / "burnish" / "server" / "static"


def tool(name: str) -> Path:
    """The path of a tool of the page; the test is skipped if it is not installed."""
    if shutil.which("node") is None:
        lacking("node is not installed")
    found = WEB / "node_modules" / ".bin" / name
    if not found.exists():
        lacking(f"{name} is not installed: run `make web`")
    return found


def built() -> Path:
    """The folder of the built page; the test is skipped if there is none."""
    if not (BUILT / "index.html").is_file():
        lacking("the page is not built: run `make web`")
    return BUILT


def lacking(what: str) -> None:
    """Skip the test; with BURNISH_REQUIRE_WEB=1, fail."""
    if os.environ.get("BURNISH_REQUIRE_WEB") == "1":
        pytest.fail(what)
    pytest.skip(what)


def chromium() -> str:
    """The path of Chromium; the test is skipped if it is not installed."""
    found = next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )
    if found is None:
        lacking("chromium is not installed")
    assert found is not None
    return found


@contextmanager
def studio(workspace: Path, *options: str, python: str = sys.executable) -> Iterator[str]:
    """`burnish ui` on a workspace with the built page; gives the address that logs in once."""
    built()
    command = [python, "-m", "burnish.cli.main", "--workspace", str(workspace), "--json", "ui", "--port", "0"]
    command += options
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=workspace)
    assert server.stdout is not None
    try:
        said = ""
        for line in server.stdout:  # JSON over several lines
            said += line
            if line.startswith("}") or line.rstrip().endswith("}"):
                break
        yield json.loads(said)["login"]
    finally:
        server.terminate()
        server.wait(timeout=30)
        server.stdout.close()


def browse(script: str, *arguments: str) -> list[str]:
    """The faults that a script of web/browser names, one in a line."""
    tool("playwright-core")
    command = ["node", str(WEB / "browser" / script), chromium(), *arguments]
    done = subprocess.run(command, cwd=WEB, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
