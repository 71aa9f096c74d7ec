"""Which paths this machine opens: those of Windows, of Linux in WSL (with the drives that it mounts), or of neither."""

import contextlib
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

_ESCAPE = re.compile(r"\\([0-7]{3})")
_IN_CONTAINER = (".dockerenv", "run/.containerenv")
_DRIVES = ("drvfs", "9p", "virtiofs")


@dataclass(frozen=True)
class Mount:
    """A drive or share of Windows (`C:` or `\\\\server\\share`) and the folder where WSL has it."""

    source: str
    folder: str


@dataclass(frozen=True)
class System:
    """The machine as paths see it. `distribution` is the name of this WSL distribution, empty if it is unknown."""

    kind: Literal["windows", "wsl", "container", "posix"]
    automount: str = "/mnt/"
    distribution: str = ""
    mounts: tuple[Mount, ...] = ()


@cache
def this_system() -> System:
    """The system of this process."""
    if sys.platform == "win32":
        return System("windows")
    return system_of(Path("/"), os.environ)


def system_of(root: Path, environment: Mapping[str, str]) -> System:
    """The system whose files are below `root`. A container on the kernel of WSL has none of its drives."""
    if any((root / name).exists() for name in _IN_CONTAINER):
        return System("container")
    name = environment.get("WSL_DISTRO_NAME", "")
    if not name and "microsoft" not in _text(root / "proc/sys/kernel/osrelease").lower():
        return System("posix")
    mounts = tuple(_mounts(_text(root / "proc/mounts")))
    return System("wsl", _automount(_text(root / "etc/wsl.conf")), name, mounts)


def _automount(settings: str) -> str:
    """`root` in the section `automount` of /etc/wsl.conf, with a slash at the end."""
    import configparser  # only in WSL

    parser = configparser.ConfigParser(strict=False, interpolation=None)
    with contextlib.suppress(configparser.Error):
        parser.read_string(settings)
    root = parser.get("automount", "root", fallback="/mnt/").strip().strip("\"'") or "/mnt/"
    return f"{root.rstrip('/')}/"


def _mounts(table: str) -> "list[Mount]":
    """The drives and shares of /proc/mounts; of several on one folder, the last."""
    found: dict[str, Mount] = {}
    for line in table.splitlines():
        source, folder, kind, options = [*map(_unescaped, line.split()), "", "", "", ""][:4]
        if kind not in _DRIVES:
            continue
        named = re.search(r"(?:^|[,;])path=([^,;]+)", options)
        source = named[1] if named and not _is_windows(source) else source
        if _is_windows(source):
            found[folder] = Mount(source.rstrip("\\"), folder)
    return list(found.values())


def _is_windows(source: str) -> bool:
    return re.match(r"[A-Za-z]:|\\\\", source) is not None


def _unescaped(word: str) -> str:
    """A word of /proc/mounts, where `\\040` is a space and `\\134` a backslash."""
    return _ESCAPE.sub(lambda found: chr(int(found[1], 8)), word)


def _text(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text(encoding="utf-8", errors="replace")
    return ""
