"""Paths as people write them: `~` and `~name` are home folders, a relative path starts at the current folder."""

import os
from pathlib import Path

from burnish.core.errors import AskError


def expanded(path: str | Path) -> Path:
    """The path with `~` and `~name` replaced. AskError `ask.bad-reference` for a user that this machine lacks."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        user = Path(path).parts[0]
        raise AskError(
            "ask.bad-reference",
            f"{path}: the home folder of {user} is unknown",
            "write the full path; for a name that begins with ~ write ./~name",
        ) from error


def current_folder() -> Path:
    """Where this process stands. AskError `ask.bad-reference` when that folder was removed."""
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise current_folder_gone() from error


def current_folder_gone() -> AskError:
    gone = os.environ.get("PWD", "")
    return AskError(
        "ask.bad-reference",
        f"the current folder{f' {gone}' if gone else ''} was removed or renamed",
        "go to a folder that exists (cd), and run the command again",
    )
