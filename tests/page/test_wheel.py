"""A wheel of the checkout, in an environment of its own with `burnish[ui]`, serves the page without Node."""

import subprocess
import sys
import venv

import pytest

from page_tools import ROOT, browse, built, chromium, studio, tool


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The Python of a new environment that holds the wheel and what `ui` asks for, and nothing of the checkout."""
    built(), chromium(), tool("playwright-core")
    folder = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv", with_pip=True)
    python = str(folder / "venv" / "bin" / "python")
    install = [python, "-m", "pip", "install", "-q", "-c", str(ROOT / "constraints.txt"), f"{wheel}[ui]"]
    subprocess.run(install, check=True, capture_output=True)
    return python


@pytest.mark.torture
@pytest.mark.timeout(900)
def test_an_installed_wheel_serves_the_page(installed, tmp_path, monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    where = subprocess.run(
        [installed, "-c", "import burnish; print(burnish.__file__)"], capture_output=True, text=True, check=True
    )
    assert not where.stdout.startswith(str(ROOT))
    with studio(tmp_path, python=installed) as login:
        assert browse("screens.mjs", login, str(tmp_path), "light", "1440", "/", "/new", "/data", "/settings") == []
