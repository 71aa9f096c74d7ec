"""Paths as users write them: `~` and `~name` are home folders, relative paths start at the current folder."""

import os
from pathlib import Path

from burnish.core.errors import AskError


def expanded(path: str | Path) -> Path:
    """Expand `~` and `~name`. AskError `ask.bad-reference` for an unknown user."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        user = Path(path).parts[0]
        raise AskError(
            "ask.bad-reference",
            f"{path}: the home folder of {user} is unknown",
            "write the full path; for a name that starts with ~ write ./~name",
        ) from error


def resolved(path: Path) -> Path:
    """An absolute path without links; a loop of links, for which `Path.resolve` raises RuntimeError, stays."""
    return Path(os.path.realpath(path))


def current_folder() -> Path:
    """The current folder. AskError `ask.bad-reference` if it was removed."""
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise current_folder_gone() from error


def current_folder_gone() -> AskError:
    gone = os.environ.get("PWD", "")
    return AskError(
        "ask.bad-reference",
        f"the current folder{f' {gone}' if gone else ''} was removed or renamed",
        "change to an existing folder (cd), and run the command again",
    )


def refuse_undecodable(path: Path, subject: str) -> None:
    """AskError `ask.wrong-value` for a path that is not UTF-8: records contain paths, and are UTF-8."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise AskError(
            "ask.wrong-value", f"{subject}: the path {path} is not UTF-8", "rename the file or folder, or use another"
        ) from error
