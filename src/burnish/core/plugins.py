"""Objects that installed packages register through entry points.

Importing `importlib.metadata` and reading every package is too slow for `burnish --help`, so the
`entry_points.txt` files are first searched for the group's name.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def plugins(group: str) -> Iterator[Any]:
    """Load the objects registered in `group`, in the order of `importlib.metadata`."""
    if not any(_mentions(group, Path(folder)) for folder in sys.path):
        return
    from importlib.metadata import entry_points

    for entry in entry_points(group=group):
        yield entry.load()


def _mentions(group: str, folder: Path) -> bool:
    """True if a package in `folder` names the group, and for a zip file, which is not searched here."""
    try:
        names = os.listdir(folder)
    except NotADirectoryError:
        return True
    except OSError:
        return False
    infos = (folder / name for name in names if name.endswith((".dist-info", ".egg-info")))
    return any(_names(group, info / "entry_points.txt") for info in infos)


def _names(group: str, file: Path) -> bool:
    try:
        return f"[{group}]".encode() in file.read_bytes()
    except OSError:
        return False
