"""Who changes the registry: `BURNISH_AUTHOR`, else the author that Git is configured with, else the system's user."""

import getpass
import os
import subprocess
from pathlib import Path

from burnish.core.printable import encodable

VARIABLE = "BURNISH_AUTHOR"


def author(folder: Path) -> str:
    """The name to record, such as `Ada <ada@example.org>`."""
    stated = os.environ.get(VARIABLE, "").strip()
    return encodable(stated or _git_author(folder) or _user())


def _git_author(folder: Path) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), "config", "--get-regexp", r"^user\.(name|email)$"],
            capture_output=True,
            check=False,
            timeout=5,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found: dict[str, str] = {}
    for line in done.stdout.decode(errors="replace").splitlines():
        key, _, value = line.partition(" ")
        found[key] = value.strip()
    name, email = found.get("user.name", ""), found.get("user.email", "")
    return f"{name} <{email}>" if name and email else name or email


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
