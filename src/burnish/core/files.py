"""Writing that survives a crash: a file is seen whole or not at all.

The order is write, fsync the file, rename, fsync the folder.
"""

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any


def sync(path: Path) -> None:
    """Flush a file's or folder's own data to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(path: Path, text: str) -> None:
    """Replace a file's content in one step."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    sync(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Write JSON for people and programs: indented, keys in the order given."""
    write_atomically(path, json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def publish_folder(partial: Path, final: Path) -> None:
    """Flush every file of a folder, then give it its name; the name is never seen on half a folder.

    Some libraries write through temporary files that only their owner may read: what is published is as readable
    as any file that the person makes.
    """
    mask = os.umask(0)
    os.umask(mask)
    for path in sorted(partial.rglob("*"), reverse=True):
        if path.is_file():
            path.chmod(0o666 & ~mask)
        sync(path)
    sync(partial)
    os.rename(partial, final)
    sync(final.parent)
