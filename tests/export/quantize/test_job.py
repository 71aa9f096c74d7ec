"""What the quantizer's process is given."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from burnish.export.quantize.job import OFFLINE

READERS = {"huggingface_hub": "constants.py", "datasets": "config.py", "tokenizers": "tokenizers.abi3.so"}


@pytest.mark.parametrize("name", OFFLINE)
def test_a_variable_of_the_quantizer_is_one_that_a_library_reads(name):
    folders = {package: Path(find_spec(package).origin).parent for package in READERS}
    assert any(name.encode() in (folders[package] / file).read_bytes() for package, file in READERS.items())


def test_the_libraries_of_the_quantizer_are_offline():
    code = "from huggingface_hub import constants as c; print(c.HF_HUB_OFFLINE, c.HF_HUB_DISABLE_TELEMETRY)"
    without = {name: value for name, value in os.environ.items() if not name.endswith("OFFLINE")}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**without, **OFFLINE}, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["True", "True"]
