"""Compile the kernels: `python compiling.py` does it in place, and so does the build of the package (`hatch_build.py`).

It uses the standard library alone, since it also runs where burnish is not installed yet.
"""

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

FOLDER = Path(__file__).parent
LIBRARY = FOLDER / "kernels.so"
SUM = FOLDER / "kernels.so.sha256"
"""What the library's bytes are: the loader of a system would crash on a torn one."""
_SECONDS = 300
_LOADS = "import ctypes, sys; print(ctypes.c_uint64.in_dll(ctypes.CDLL(sys.argv[1]), 'burnish_fingerprint').value)"
FLAGS = ("-std=gnu11", "-O3", "-fPIC", "-shared", "-fvisibility=hidden")


def sources() -> list[Path]:
    """The files in C, in the order of their names."""
    return sorted([*FOLDER.glob("*.c"), *FOLDER.glob("*.h")])


def fingerprint() -> int:
    """64 bits of the sources' hash. The library carries that of the sources it was made of."""
    digest = hashlib.sha256()
    for path in sources():
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return int.from_bytes(digest.digest()[:8], "big")


def compilers() -> list[list[str]]:
    """The commands of C compilers that are there: `CC`, the one that Python was made with, `cc`, `gcc`, `clang`."""
    found: list[list[str]] = []
    for name in (os.environ.get("CC"), sysconfig.get_config_var("CC"), "cc", "gcc", "clang"):
        with suppress(ValueError):  # quotes that are not closed
            words = shlex.split(name or "")
            if words and shutil.which(words[0]) and words not in found:
                found.append(words)
    return found


def compiled() -> str:
    """Make the library, which takes the place of a former one at once; why there is none, "" if there is."""
    if os.name != "posix":
        return "kernels are compiled on Linux and macOS only"
    problems: list[str] = []
    for command in compilers():
        try:
            problem = _compiled_by(command)
        except (OSError, subprocess.TimeoutExpired) as error:  # the folder may be read-only
            problem = str(error)
        if not problem:
            return ""
        problems.append(problem)
    return problems[0] if problems else "no C compiler was found"


def _compiled_by(command: list[str]) -> str:
    with tempfile.TemporaryDirectory(prefix="burnish-kernels-") as folder:
        made = Path(folder) / LIBRARY.name
        files = [str(path) for path in sources() if path.suffix == ".c"]
        flags = [*FLAGS, f"-DFINGERPRINT=UINT64_C(0x{fingerprint():016x})", "-o", str(made)]
        done = _run([*command, *flags, *files])
        if done.returncode or not made.exists():
            said = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[0]
            return f"{shlex.join(command)} failed: {said}"
        content = made.read_bytes()
        if not _put(LIBRARY, content, _loads):
            return f"{shlex.join(command)} failed: what it made cannot be loaded here"
        _put(SUM, hashlib.sha256(content).hexdigest().encode())
    return ""


def _loads(library: Path) -> bool:
    """Whether Python loads it, which is tried in another process: this one may end by it."""
    return _run([sys.executable, "-c", _LOADS, str(library)]).stdout.strip() == str(fingerprint())


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, encoding="utf-8", errors="replace", check=False, timeout=_SECONDS
    )


def _put(path: Path, content: bytes, is_good: Callable[[Path], bool] = Path.exists) -> bool:
    """Write a file that appears at once, if it is good where it lies; whether it is."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(content)
        partial.chmod(0o644)
        if is_good(partial):
            partial.replace(path)
            return True
    finally:
        partial.unlink(missing_ok=True)
    return False


if __name__ == "__main__":
    problem = compiled()
    print(f"kernels: {problem}; burnish uses numpy, which is slower" if problem else "kernels: compiled")
    sys.exit(0)
