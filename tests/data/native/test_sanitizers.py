"""The kernels read and write nothing outside their arrays, and compute nothing undefined."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from burnish.data.native import compiling

ROOT = Path(__file__).parents[3]
TESTS = ("tests/data/native/test_kernels.py", "tests/data/dedup", "tests/data/filters")


def runtime(name):
    """A library of the compiler that a program loads first; empty where the compiler has none."""
    command = [*compiling.compilers()[0], f"-print-file-name={name}"]
    path = Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())
    return str(path) if path.is_absolute() else ""


@pytest.mark.torture
@pytest.mark.skipif(not compiling.compilers(), reason="no C compiler")
def test_the_tests_of_kernels_pass_under_the_sanitizers_of_the_compiler(tmp_path):
    runtimes = [runtime("libasan.so"), runtime("libubsan.so")]
    if not all(runtimes):
        pytest.skip("the compiler has no sanitizers")
    for name in ("src", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    folder = tmp_path / "src" / "burnish" / "data" / "native"
    flags = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    defined = f"-DFINGERPRINT=UINT64_C(0x{compiling.fingerprint():016x})"
    command = [*compiling.compilers()[0], *compiling.FLAGS, *flags, defined, "-o", str(folder / "kernels.so")]
    subprocess.run([*command, *map(str, folder.glob("*.c"))], check=True)
    (folder / "kernels.so.sha256").write_text(hashlib.sha256((folder / "kernels.so").read_bytes()).hexdigest())
    environment = {
        **os.environ,
        "LD_PRELOAD": " ".join(runtimes),
        "ASAN_OPTIONS": "detect_leaks=0",  # Python keeps much until it ends
        "PYTHONMALLOC": "malloc",
        "PYTHONPATH": str(tmp_path / "src"),
    }
    other = "gives"  # others make libraries of their own
    pytest_command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", other, *TESTS]
    done = subprocess.run(pytest_command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
