"""The variables of a workspace's `.env` as part of this process's environment, under those that it was started with.

The names that came from the file are noted in the environment itself, so that a process that this one starts knows
them from those of the user, and takes a later change of the file.
"""

import hashlib
import os
import threading
from pathlib import Path
from typing import Literal

from burnish.core.access.env_file import read_env_file
from burnish.core.errors import AskError, BurnishError
from burnish.studio.settings.variables import for_workers, is_own_key

FILE = ".env"
NOTE = "BURNISH_FROM_ENV_FILE"
"""Names and digests of values, such as `HF_TOKEN=1a2b3c4d,…`: a value that is no longer so is of somebody else."""
Source = Literal["environment", "file"]
_CHANGING = threading.Lock()
"""Held from reading the file to the last change of the environment: of two threads the later one takes the later text,
and none sees a part of a change."""


def load_env_file(root: Path) -> list[str]:
    """Take the variables of the file of a workspace into `os.environ`, without those that are set there already.

    Called again, it takes what has changed, and removes what the file has no longer. Variables that burnish does not
    know are not taken, but for keys. Returns a sentence for each value that cannot be used.
    """
    with _CHANGING:
        return _load(root)


def _load(root: Path) -> list[str]:
    ours = _from_file()
    path = root / FILE
    if not ours and not path.is_file():
        return []
    others = {name: value for name, value in os.environ.items() if name not in ours}
    taken: dict[str, str] = {}
    faults: list[str] = []
    for name, value in _read(path, others, faults).items():
        if name in others or not is_taken(name) or value == "":
            continue
        if fault := _fault(name, value):
            faults.append(f"{path}: {fault}: it is not used")
        elif value is not None:
            taken[name] = value
    for name in ours - taken.keys():
        os.environ.pop(name, None)
    os.environ.update(taken)
    os.environ[NOTE] = ",".join(f"{name}={_digest(value)}" for name, value in taken.items())
    if not taken:
        del os.environ[NOTE]
    return faults


def load_env_file_of(workspace: Path | str | None) -> list[str]:
    """`load_env_file` of the workspace that a command is for; nothing of one that cannot be found, which it reports."""
    from burnish.core.runs.workspace import Workspace

    try:
        root = Workspace.find(workspace).root
    except (BurnishError, OSError):
        return []
    return load_env_file(root)


def source_of(name: str) -> Source | None:
    """Where the value of a variable of this process comes from; None if it is not set."""
    with _CHANGING:
        if name not in os.environ:
            return None
        return "file" if name in _from_file() else "environment"


def is_taken(name: str) -> bool:
    """Whether a variable of the file reaches burnish and its workers."""
    return name in for_workers() or is_own_key(name)


def environment_without_file() -> dict[str, str]:
    """The environment that this process was started with."""
    with _CHANGING:
        ours = _from_file()
        return {name: value for name, value in os.environ.items() if name not in ours}


def _from_file() -> set[str]:
    noted = (part.partition("=") for part in os.environ.get(NOTE, "").split(",") if part)
    return {name for name, _, digest in noted if _digest(os.environ.get(name, "")) == digest}


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode(errors="surrogateescape")).hexdigest()[:8]


def _read(path: Path, environment: dict[str, str], faults: list[str]) -> dict[str, str | None]:
    try:
        return read_env_file(path, environment)
    except OSError as error:
        faults.append(f"{path} cannot be read ({error.strerror}): none of its variables is used")
        return {}


def _fault(name: str, value: str | None) -> str:
    """Why the value of a variable cannot be used; "" if it can."""
    if value is None:
        return f"the value of {name} has a variable in a form that burnish does not read"
    if "\0" in value:
        return f"the value of {name} has a NUL character"
    known = for_workers().get(name)
    try:
        if known is not None:
            known.check(value)
    except AskError as error:
        return error.what
    return ""
