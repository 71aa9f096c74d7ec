"""Who changes the registry, and why: both are kept in the history.

Who is `BURNISH_AUTHOR`, else the author that Git is configured with, else the system's user.
"""

import getpass
import os
import subprocess
from pathlib import Path

from burnish.core.errors import AskError
from burnish.core.printable import encodable

VARIABLE = "BURNISH_AUTHOR"
LONGEST_REASON, LONGEST_AUTHOR = 2_000, 200


def author(folder: Path, stated: str | None = None) -> str:
    """The name to record, such as `Ada <ada@example.org>`. AskError `ask.wrong-value` for one that is too long."""
    name = (stated or "").strip() or os.environ.get(VARIABLE, "").strip() or _git_author(folder) or _user()
    return _refuse_long(encodable(name), "the author", LONGEST_AUTHOR)


def reason(text: str) -> str:
    """The reason to record: white space alone is none. AskError `ask.wrong-value` for one that is too long."""
    return _refuse_long(text.strip(), "the reason", LONGEST_REASON)


def _refuse_long(text: str, subject: str, longest: int) -> str:
    if len(text) > longest:
        what = f"{subject} has {len(text):,} characters, and {longest:,} at most are kept"
        raise AskError("ask.wrong-value", what, "shorten it, or give the address of the full text")
    return text


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
