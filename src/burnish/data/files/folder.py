"""The files of a folder in a fixed order: each is listed, or reported as not read."""

import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from burnish.core.errors import DataError
from burnish.core.naming import nearest
from burnish.data.record import ReadReport

_OF_PROGRAMS = {"__MACOSX", "__pycache__"}
"""Folders that programs make beside the files of people."""


def is_hidden(path: str) -> bool:
    """Whether a path, or a folder on the way, is one that people do not see: `.cache/x`, `__MACOSX/x`."""
    return any(part.startswith(".") or part in _OF_PROGRAMS for part in PurePosixPath(path).parts)


def names_below(folder: Path, reading: ReadReport) -> list[str]:
    """The paths of a folder's files. Left out are hidden ones, and links that add no file, which is reported.

    A link is read where it leads to a file of the folder that is not read itself, or from the hub's snapshots to its
    blobs. DataError `data.unreadable` when a folder below cannot be listed.
    """

    def refuse(error: OSError) -> None:
        at = Path(error.filename or folder)
        name = at.relative_to(folder) if at.is_relative_to(folder) and at != folder else folder.name
        what = f"the folder {name} cannot be listed: {error.strerror or error}"
        raise DataError("data.unreadable", what, "make it readable, or use a source without it") from error

    files: list[str] = []
    links: list[str] = []
    for base, folders, names in os.walk(folder, onerror=refuse):
        visible = sorted(name for name in folders if not is_hidden(name))
        folders[:] = [name for name in visible if not os.path.islink(os.path.join(base, name))]
        for name in [*(name for name in visible if name not in folders), *sorted(names)]:
            path = Path(base, name)
            if not is_hidden(name):
                (links if path.is_symlink() else files).append(path.relative_to(folder).as_posix())
    regular = [name for name in files if (folder / name).is_file()]
    reading.skip(folder.name, sorted(set(files).difference(regular)), "no regular file")
    return in_order([*regular, *_taken_links(folder, links, regular, reading)])


def in_order(names: Iterable[str]) -> list[str]:
    """Paths sorted by name, the files of a folder before its folders."""

    def key(name: str) -> tuple[tuple[bool, str], ...]:
        *folders, file = PurePosixPath(name).parts
        return (*((True, folder) for folder in folders), (False, file))

    return sorted(names, key=key)


def _taken_links(folder: Path, links: list[str], files: list[str], reading: ReadReport) -> list[str]:
    there = {(folder / name).resolve() for name in files}
    taken: list[str] = []
    for name in links:
        path = folder / name
        if not path.exists():
            reading.skip(folder.name, [name], "a broken link")
        elif not stays(folder, path):
            reading.skip(folder.name, [name], "a link to outside the folder")
        elif path.is_dir():
            reading.skip(folder.name, [name], "a link to a folder")
        elif path.resolve() in there:
            reading.skip(folder.name, [name], "a link to a file that is read itself", matters=False)
        else:
            taken.append(name)
    return taken


def inside(folder: Path, name: str) -> Path:
    """The path of a name in a file of the folder. DataError `data.unreadable` when it leads outside."""
    path = folder / PurePosixPath(name.replace("\\", "/"))
    if leads_outside(name) or not stays(folder, path):
        raise DataError("data.unreadable", f"'{name}' leads out of {folder.name}", "name a file inside the folder")
    if not path.exists():
        there = [entry.name for entry in folder.iterdir()]
        raise DataError("data.unreadable", f"there is no {name} in {folder.name}", nearest(path.name, there))
    return path


def leads_outside(name: str) -> bool:
    """Whether a relative path would leave its folder, on any system."""
    parts = PurePosixPath(name.replace("\\", "/"))
    return parts.is_absolute() or not parts.parts or ":" in parts.parts[0] or ".." in parts.parts


def stays(folder: Path, path: Path) -> bool:
    """Whether a resolved path is in the folder; the hub's cache links from snapshots/ to blobs/ beside it."""
    root, target = folder.resolve(), path.resolve()
    if target.is_relative_to(root):
        return True
    return root.parent.name == "snapshots" and target.is_relative_to(root.parent.parent / "blobs")
