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


def compiler() -> list[str]:
    """The command of a C compiler: `CC`, the one that Python was made with, or `cc`; empty without any."""
    for command in (os.environ.get("CC"), sysconfig.get_config_var("CC"), "cc", "gcc", "clang"):
        words = shlex.split(command or "")
        if words and shutil.which(words[0]):
            return words
    return []


def compiled() -> str:
    """Make the library, which takes the place of a former one at once; why there is none, "" if there is."""
    problem = _compiled()
    if problem:
        LIBRARY.unlink(missing_ok=True)  # of other sources
    return problem


def _compiled() -> str:
    if os.name != "posix":
        return "kernels are compiled on Linux and macOS only"
    if not (command := compiler()):
        return "no C compiler was found"
    with tempfile.TemporaryDirectory(dir=FOLDER, prefix=".compiling-") as folder:
        made = Path(folder) / LIBRARY.name
        files = [str(path) for path in sources() if path.suffix == ".c"]
        flags = [*FLAGS, f"-DFINGERPRINT=UINT64_C(0x{fingerprint():016x})", "-o", str(made)]
        try:
            done = subprocess.run([*command, *flags, *files], capture_output=True, text=True, check=False)
        except OSError as error:
            return f"{command[0]} does not start: {error}"
        if done.returncode:
            return f"{shlex.join(command)} failed: {(done.stderr.strip().splitlines() or ['no message'])[0]}"
        made.replace(LIBRARY)
    return ""


if __name__ == "__main__":
    problem = compiled()
    print(f"kernels: {problem}; burnish uses numpy, which is slower" if problem else "kernels: compiled")
    sys.exit(0)
