"""The set-up of the virtual environment says why it cannot go ahead; pip runs without any network."""

import fcntl
import os
import subprocess
import sys
import venv
from pathlib import Path

import pip
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """An environment with the pip of this one: to install it would take five seconds."""
    folder = tmp_path_factory.mktemp("setup") / "venv"
    venv.create(folder)
    (folder / "bin" / "pip").touch()
    [site] = folder.glob("lib/python3*/site-packages")
    (site / "pip").symlink_to(Path(pip.__file__).parent)
    return folder


def setup(folder, **variables):
    command = [sys.executable, str(ROOT / "tools" / "environment.py"), "user", "--venv", str(folder)]
    without = {key: value for key, value in os.environ.items() if not key.startswith("PIP_")}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**without, **variables}
    )


def test_an_index_that_cannot_be_reached_is_named(environment):
    process = setup(environment, PIP_INDEX_URL="http://127.0.0.1:9/simple", PIP_RETRIES="1", PIP_CONFIG_FILE=os.devnull)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "error: the package index cannot be reached\nhint:  check the network and proxy" in errors


def test_an_environment_of_another_python_is_named_before_anything_is_installed(environment, tmp_path):
    other = tmp_path / "venv"
    (other / "bin").mkdir(parents=True)
    (other / "bin" / "pip").touch()
    (other / "bin" / "python").write_text("#!/bin/sh\necho 3.9\n")
    (other / "bin" / "python").chmod(0o755)
    process = setup(other)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"{other} has Python 3.9, and make uses {sys.version_info.major}.{sys.version_info.minor}" in errors
    assert f"rm -r {other}" in errors


def test_a_second_set_up_waits_for_the_first(environment):
    with (environment / ".setup.lock").open("w") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        process = setup(environment, PIP_INDEX_URL="http://127.0.0.1:9/simple", PIP_RETRIES="1")
        lines = [process.stdout.readline() for _ in range(2)]
        assert "waiting for another set-up" in lines[1]
        assert process.poll() is None
    process.communicate(timeout=60)
    assert process.returncode == 1
