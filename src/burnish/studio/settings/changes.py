"""What the `.env` of a workspace holds, and changes of it. Secrets are written, and never shown."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from burnish.core.access.env_file import variables_of, with_variables
from burnish.core.access.owners import keep_owner, refuse_of_others
from burnish.core.errors import AskError
from burnish.core.files import write_atomically
from burnish.core.runs.locks import held
from burnish.core.runs.workspace import Workspace
from burnish.studio.settings.environment import FILE, environment_without_file, is_taken, load_env_file
from burnish.studio.settings.variables import Variable, variable, variables

_LARGEST = 1 << 20


def settings(*, workspace: Path | str | None = None) -> dict[str, Any]:
    """The known variables and the keys in the file: which are set, where, and the values of those that are no secrets.

    `path` is the file; `others` are names in it that burnish does not know, and leaves alone. Errors: AskError
    `ask.wrong-value` for a file that cannot be read.
    """
    path = Workspace.find(workspace).root / FILE
    given = environment_without_file()
    stated = variables_of(_text_of(path), given)
    known = {**variables(), **{name: variable(name) for name in stated if is_taken(name)}}
    return {
        "path": str(path),
        "variables": [_shown(one, given, stated) for one in known.values()],
        "others": sorted(name for name in stated if name not in known),
    }


def change_settings(changes: Mapping[str, str | None], *, workspace: Path | str | None = None) -> dict[str, Any]:
    """Set variables in the file, or remove those that are None, all or none; returns `settings`.

    All else in the file stays as it is. Burnish's workers see the values from their next start on; those of this
    process's own environment come first.

    Errors: AskError `ask.unknown-key`, `ask.wrong-value`, `ask.nothing-to-do`; RunError `run.busy`.
    """
    place = Workspace.find(workspace)
    if not changes:
        raise AskError("ask.nothing-to-do", "no variable is named", "name those to set or to remove")
    for name, value in changes.items():
        known = variable(name)
        if value is not None:
            known.check(value)
    path = (place.root / FILE).resolve()
    folder = place.root / ".burnish"
    folder.mkdir(parents=True, exist_ok=True)
    refuse_of_others(path)
    with held(folder / "env.lock", f"changing {path}"):
        before = _text_of(path)
        after = with_variables(before, changes)
        if after != before:
            was = path.stat() if path.exists() else None
            write_atomically(path, after.encode("utf-8", "surrogateescape"), mode=0o600)
            keep_owner(path, was)
        elif path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
            path.chmod(0o600)
    load_env_file(place.root)
    return settings(workspace=place.root)


def _shown(one: Variable, given: Mapping[str, str], stated: Mapping[str, str | None]) -> dict[str, Any]:
    source = "environment" if one.name in given else "file" if one.name in stated else None
    value = given[one.name] if source == "environment" else stated.get(one.name)
    return {
        "name": one.name,
        "group": one.group,
        "kind": one.kind,
        "help": one.help,
        "choices": list(one.choices),
        "is_set": bool(value),
        "source": source,
        "value": None if value is None or source is None else one.shown(value),
        "in_file": one.name in stated,
        "for_workers": one.for_workers,
        "problem": _problem(one, value) if source is not None and value != "" else "",
    }


def _problem(one: Variable, value: str | None) -> str:
    """Why a value cannot be used; "" if it can."""
    if value is None:
        return "it has a variable in a form that burnish does not read"
    try:
        one.check(value)
    except AskError as error:
        return error.what
    return ""


def _text_of(path: Path) -> str:
    """The text of the file, all its bytes; "" if there is none."""
    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):  # to open a pipe would wait for its writer
            raise _unreadable(path, "it is no regular file")
        if found.st_size > _LARGEST:
            raise _unreadable(path, f"it has {found.st_size:,} bytes")
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error


def _unreadable(path: Path, why: str) -> AskError:
    return AskError("ask.wrong-value", f"{path}: not a file of variables: {why}", "remove it, or make it a text file")
