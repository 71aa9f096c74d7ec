"""Files with secrets stay those of their owner when they are replaced."""

import os
from pathlib import Path

from burnish.core.errors import AskError


def refuse_of_others(path: Path) -> None:
    """AskError for a file of another user or group, which a change would take from them."""
    user = getattr(os, "geteuid", lambda: 0)()
    if user == 0 or not path.exists():
        return
    found = path.stat()
    if found.st_uid != user or found.st_gid not in {os.getegid(), *os.getgroups()}:
        fix = "run the command as that user"
        raise AskError("ask.wrong-value", f"{path}: it belongs to user {found.st_uid}, group {found.st_gid}", fix)


def keep_owner(path: Path, before: os.stat_result | None) -> None:
    """Give a file that was replaced to the owner of the one before, if there was one."""
    if before is not None and (chown := getattr(os, "chown", None)) is not None:
        chown(path, before.st_uid, before.st_gid)
