"""Where the page's sources, tools and built files are. Without Node their tests are skipped, unless CI insists."""

import os
import shutil
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
