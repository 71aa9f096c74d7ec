"""Files that a request names: inside one folder, whatever the name says."""

import os
import stat
from pathlib import Path

from burnish.core.errors import AskError

_LONGEST = 1024


def within(root: Path, name: str) -> Path:
    """The file or folder `name` (parts joined by `/`) below `root`.

    A name with `..`, an absolute one, one with a control character, a backslash or a colon, one that leads out by a
    link, and one of a device, pipe or socket are refused alike. Errors: AskError `ask.bad-reference`.
    """
    parts = name.split("/")
    if not is_plain(name) or any(part in ("", ".", "..") for part in parts):
        raise _refused(name)
    path = root.joinpath(*parts)
    try:
        real, mode = os.path.realpath(path, strict=True), path.stat().st_mode
    except (OSError, ValueError):
        raise _refused(name) from None
    inside = Path(real).is_relative_to(os.path.realpath(root))
    if not inside or not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise _refused(name)
    return path


def file_within(root: Path, name: str) -> Path:
    """The regular file `name` below `root`. Errors: those of `within`, also for a folder."""
    path = within(root, name)
    if not path.is_file():
        raise _refused(name)
    return path


def is_plain(name: str) -> bool:
    """Whether a name has only characters that mean the same on every system."""
    return 0 < len(name) <= _LONGEST and name.isprintable() and not any(c in name for c in "\\:\0") and _is_utf8(name)


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refused(name: str) -> AskError:
    shown = name[:80].encode(errors="replace").decode() if name.isprintable() else ascii(name[:80])
    return AskError("ask.bad-reference", f"there is no file '{shown}' here", "list the files, and name one of them")
