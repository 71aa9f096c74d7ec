"""The Python environment of the quantizers: made once for a set of pinned versions, and shared by all workspaces.

    <cache>/burnish/environments/quantize-<hash>/           complete: `environment.json` lists its packages
    <cache>/burnish/environments/quantize-<hash>.partial/   being made, or left by a killed process
    <cache>/burnish/environments/quantize-<hash>.lock       held while it is made and checked

The hash is of the pinned versions, the version of Python and the platform. The folder is moved into place once its
packages can be imported, and compared with its list before each use.
"""

import hashlib
import json
import logging
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from filelock import FileLock, Timeout

from burnish.core.context import StopRequestedError
from burnish.core.errors import BurnishError, MachineError
from burnish.core.events import Event, Note, Progress
from burnish.core.faults import is_disk_full
from burnish.core.files import write_json
from burnish.core.paths import expanded
from burnish.export.quantize.supervised import Ended, other_environment, run_supervised, tail

CONSTRAINTS = Path(__file__).with_name("constraints.txt")
STEPS = (("torch",), ("llmcompressor",))
"""Installed in this order: whatever needs torch is then resolved for the one that is there."""
_CHECK_SECONDS = 300.0
_OF_PIP = (
    *("PIP_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "NETRC"),
    *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS"),
)
"""Variables that pip reads: an index, a proxy, certificates."""
_log = logging.getLogger("burnish.quantizer")
_LIST = """
import json, sys
from importlib.metadata import distributions
found = {d.metadata["Name"].lower().replace("_", "-").replace(".", "-"): d.version for d in distributions()}
print(json.dumps({"python": "%d.%d" % sys.version_info[:2], "packages": found}))
"""
_UNREACHABLE = re.compile(
    r"NewConnectionError|NameResolutionError|Temporary failure in name resolution|Network is unreachable"
    r"|ConnectTimeoutError|ReadTimeoutError|ProxyError|Connection refused|Connection reset|SSLError"
)


@dataclass(frozen=True)
class Packages:
    """What a Python has: its version, such as 3.11, and the versions of its packages."""

    python: str
    packages: Mapping[str, str]


@dataclass
class Installing:
    """How an environment is made, and where progress is reported."""

    log: Path
    emit: Callable[[Event], None]
    is_stopping: Callable[[], bool] = lambda: False
    timeout: float | None = None
    """Seconds for each run of pip."""
    ended: Ended | None = None
    """How the last run of pip ended."""
    command: Sequence[str] = ()
    """The last command."""


def shelf() -> Path:
    """The folder of environments: in `BURNISH_CACHE`, or the user's cache folder."""
    named = os.environ.get("BURNISH_CACHE")
    cache = expanded(named) if named else expanded(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "burnish"
    return cache / "environments"


def folder_of(constraints: Path) -> Path:
    """Where the environment of a set of versions is, or will be."""
    python = f"{sys.implementation.cache_tag} {sys.platform} {platform.machine()}"
    key = hashlib.sha256(f"{python}\n{constraints.read_text(encoding='utf-8')}".encode()).hexdigest()
    return shelf() / f"quantize-{key[:16]}"


def environment(
    made: Installing,
    constraints: Path = CONSTRAINTS,
    steps: Sequence[Sequence[str]] = STEPS,
    imports: Sequence[str] = ("torch", "llmcompressor"),
) -> Path:
    """The Python of the cached environment, which is made if it is missing or damaged.

    Errors: MachineError `machine.no-network`, `machine.no-package`, `machine.no-disk`; StopRequestedError. Nothing is
    left of an environment that could not be completed.
    """
    folder = folder_of(constraints)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder, made):
        if folder.is_dir():
            if not (why := _damage(folder)):
                return python_in(folder)
            made.emit(Note(level="warning", text=f"the environment {folder} is damaged and made again: {why}"))
            shutil.rmtree(folder)
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        try:
            _make(partial, constraints, steps, imports, made)
            partial.rename(folder)
        except OSError as error:
            if not is_disk_full(error):
                raise
            raise _no_disk(folder) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return python_in(folder)


def python_in(folder: Path) -> Path:
    """The Python of an environment."""
    return folder / "bin" / "python"


def packages_of(python: Path) -> Packages:
    """What a Python has. Errors: MachineError `machine.no-package` if it does not start."""
    try:
        done = subprocess.run(
            [str(python), "-I", "-W", "ignore", "-c", _LIST],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_CHECK_SECONDS,
            env=other_environment(),
            check=False,
        )
        if done.returncode == 0:
            return Packages(**json.loads(done.stdout))
        said = (done.stderr.strip().splitlines() or ["no message"])[-1]
    except (OSError, subprocess.TimeoutExpired, ValueError, LookupError) as error:
        said = str(error)
    raise MachineError("machine.no-package", f"{python} does not start: {said}", "set environment to another Python")


def own_python(given: str) -> Path:
    """The Python of an environment that the user made: the folder of the environment, or the Python itself.

    Errors: MachineError `machine.no-package`.
    """
    path = expanded(given)
    python = python_in(path) if path.is_dir() else path
    if "llmcompressor" in packages_of(python).packages:
        return python
    raise MachineError(
        "machine.no-package",
        f"{python} has no llmcompressor",
        f"{python} -m pip install --constraint {CONSTRAINTS} llmcompressor, or remove the setting environment",
    )


def _make(
    partial: Path, constraints: Path, steps: Sequence[Sequence[str]], imports: Sequence[str], made: Installing
) -> None:
    pinned = [line for line in constraints.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    what = f"{' and '.join(name for step in steps for name in step)}, pinned with {len(pinned)} packages"
    made.emit(Note(text=f"making the environment {partial.with_suffix('')} once: {what}; this takes minutes and GBs"))
    has_pip = find_spec("pip") is not None  # ours installs into another Python, which saves the copy there
    venv = [sys.executable, "-I", "-m", "venv", *(["--without-pip"] if has_pip else []), str(partial)]
    _run(venv, made, "no virtual environment could be made")
    python = str(python_in(partial))
    pip = [sys.executable, "-I", "-m", "pip", "--python", python] if has_pip else [python, "-I", "-m", "pip"]
    pip += ["--disable-pip-version-check", "--no-input", "install"]
    options = ["--progress-bar", "off", "--only-binary", ":all:", "--constraint", str(constraints)]
    collected: set[str] = set()

    def line(text: str) -> None:
        _log.debug("%s", text)
        if text.startswith(("Collecting ", "Processing ")):
            collected.add(text)
            done = min(len(collected), len(pinned))  # pip also names what it leaves out in the end
            made.emit(Progress(phase="environment", done=done, total=len(pinned), unit="packages"))

    for step in steps:
        _run([*pip, *options, *step], made, f"{' and '.join(step)} could not be installed", line)
    _run([python, "-I", "-W", "ignore", "-c", f"import {', '.join(imports)}"], made, "what is installed does not start")
    found = packages_of(python_in(partial))
    write_json(partial / "environment.json", {"python": found.python, "packages": dict(found.packages)})


def _run(command: list[str], made: Installing, what: str, line: Callable[[str], None] = lambda text: None) -> None:
    made.command = command
    ended = made.ended = run_supervised(
        command,
        made.log,
        folder=made.log.parent,
        passed=_OF_PIP,
        timeout=made.timeout,
        is_stopping=made.is_stopping,
        line=line,
    )
    if ended.cause == "stopped":
        raise StopRequestedError
    if ended.status != 0:
        raise _not_installed(what, ended, made)


def _not_installed(what: str, ended: Ended, made: Installing) -> BurnishError:
    said = "\n".join(tail(made.log, 200))
    if ended.cause == "timeout":
        return MachineError(
            "machine.no-package", f"{what} within {made.timeout:,.0f} s", "raise install_timeout, or try again later"
        )
    if ended.was_killed:
        return MachineError("machine.no-package", f"{what}: pip was killed", "run it again; it may have lacked memory")
    if "No space left on device" in said or "Disk quota exceeded" in said:
        return _no_disk(shelf())
    if _UNREACHABLE.search(said):
        return MachineError(
            "machine.no-network",
            f"{what}: the package index cannot be reached",
            "check the network and the proxy (HTTPS_PROXY, PIP_INDEX_URL), or set environment to a Python that has "
            "llmcompressor",
        )
    if "ensurepip" in said:
        return MachineError(
            "machine.no-package",
            f"{what}: {sys.executable} has no venv and pip",
            "install them (Debian: apt install python3-venv), or set environment to a Python that has llmcompressor",
        )
    last = next((text for text in reversed(said.splitlines()) if "ERROR" in text or "rror:" in text), "see the log")
    version = f"Python {sys.version_info.major}.{sys.version_info.minor} on {sys.platform}"
    return MachineError(
        "machine.no-package",
        f"{what} for {version}: {last.removeprefix('ERROR: ')}",
        f"pip's messages are in {made.log}; or set environment to a Python that has llmcompressor",
    )


def _no_disk(where: Path) -> MachineError:
    return MachineError(
        "machine.no-disk",
        f"the disk is full: the environment of the quantizers does not fit into {where}",
        "free some GB, or set BURNISH_CACHE to a folder on another disk",
    )


def _damage(folder: Path) -> str:
    """What is wrong with a complete environment; "" if nothing is."""
    try:
        listed = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
        now = packages_of(python_in(folder))
    except (OSError, ValueError) as error:
        return f"its list of packages cannot be read ({error})"
    except MachineError as error:
        return error.what
    if listed.get("python") != now.python:
        return f"its Python was {listed.get('python')} and is {now.python}"
    before: dict[str, str] = listed.get("packages", {})
    for name in sorted(before.keys() | now.packages.keys()):
        if before.get(name) != now.packages.get(name):
            return f"{name} was {before.get(name, 'absent')} and is {now.packages.get(name, 'absent')}"
    return ""


@contextmanager
def _locked(folder: Path, made: Installing) -> Iterator[None]:
    """Hold the lock of an environment: of several runs that need it, one makes it and the others wait."""
    lock, waits = FileLock(folder.with_suffix(".lock")), False
    while True:
        try:
            lock.acquire(timeout=0.2)
            break
        except Timeout:
            if not waits:
                made.emit(Note(text="waiting for another run that makes the environment of the quantizers"))
            waits = True
            if made.is_stopping():
                raise StopRequestedError from None
    try:
        yield
    finally:
        lock.release()
