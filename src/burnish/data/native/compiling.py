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
from contextlib import suppress
from pathlib import Path

FOLDER = Path(__file__).parent
LIBRARY = FOLDER / "kernels.so"
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
    names = (os.environ.get("CC"), sysconfig.get_config_var("CC"), "cc", "gcc", "clang")
    commands = [shlex.split(name or "") for name in names]
    return [words for i, words in enumerate(commands) if words and shutil.which(words[0]) and words not in commands[:i]]


def compiled() -> str:
    """Make the library, which takes the place of a former one at once; why there is none, "" if there is."""
    if os.name != "posix":
        return "kernels are compiled on Linux and macOS only"
    problems: list[str] = []
    for command in compilers():
        try:
            problem = _compiled_by(command)
        except OSError as error:  # the folder may be read-only
            problem = str(error)
        if not problem:
            return ""
        problems.append(problem)
    with suppress(OSError):
        LIBRARY.unlink(missing_ok=True)  # of other sources
    return problems[0] if problems else "no C compiler was found"


def _compiled_by(command: list[str]) -> str:
    with tempfile.TemporaryDirectory(prefix="burnish-kernels-") as folder:
        made = Path(folder) / LIBRARY.name
        files = [str(path) for path in sources() if path.suffix == ".c"]
        flags = [*FLAGS, f"-DFINGERPRINT=UINT64_C(0x{fingerprint():016x})", "-o", str(made)]
        done = subprocess.run([*command, *flags, *files], capture_output=True, text=True, check=False)
        if done.returncode or not made.exists():
            return f"{shlex.join(command)} failed: {(done.stderr.strip().splitlines() or ['no message'])[0]}"
        copy = LIBRARY.with_name(f".{LIBRARY.name}.{os.getpid()}")
        try:
            shutil.copy(made, copy)
            copy.replace(LIBRARY)
        finally:
            copy.unlink(missing_ok=True)
    return ""


if __name__ == "__main__":
    problem = compiled()
    print(f"kernels: {problem}; burnish uses numpy, which is slower" if problem else "kernels: compiled")
    sys.exit(0)
