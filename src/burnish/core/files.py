"""Writing that survives a crash: a file is seen whole or not at all.

The order is write, fsync the file, rename, fsync the folder.
"""

import contextlib
import json
import math
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast


def sync(path: Path) -> None:
    """Flush a file's or folder's own data to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(path: Path, text: str, mode: int = 0o644) -> None:
    """Replace a file's content in one step; `mode` says who may read it."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    sync(path.parent)


def write_json(path: Path, value: Any, mode: int = 0o644) -> None:
    """Write JSON for people and programs: indented, keys in the order given, numbers that are not finite as words."""
    text = json.dumps(jsonable(value), indent=2, ensure_ascii=False, default=str, allow_nan=False)
    write_atomically(path, text + "\n", mode)


def jsonable(value: Any) -> Any:
    """The same value with `NaN`, `Infinity` and `-Infinity` as strings, as in events: JSON has no such numbers."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {key: jsonable(child) for key, child in cast(Mapping[Any, Any], value).items()}
    if isinstance(value, list | tuple):
        return [jsonable(child) for child in cast(list[Any], value)]
    return value


def read_json(path: Path) -> Any:
    """What a file holds, for readers that treat a torn file as absent; records go through `core.records`."""
    return json.loads(path.read_text(encoding="utf-8"))


def publish_folder(partial: Path, final: Path) -> None:
    """Flush every file of a folder, then give it its name; the name is never seen on half a folder.

    Some libraries write through temporary files that only their owner may read: what is published is as readable
    as any file that the person makes.
    """
    mask = _umask()
    for path in sorted(partial.rglob("*"), reverse=True):
        if path.is_file():
            path.chmod(0o666 & ~mask)
        sync(path)
    sync(partial)
    os.rename(partial, final)
    sync(final.parent)


def _umask() -> int:
    """This process's umask. To read it by setting it would give files that another thread makes meanwhile to all."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        status = ""
    stated = [line.split()[1] for line in status.splitlines() if line.startswith("Umask:")]
    if stated:
        return int(stated[0], 8)
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def file_size(count: int) -> str:
    """A size with three digits that count, such as `64.3 kB`."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}" if count < 1000 * size else f"{count / size:,.0f} {unit}"
    return f"{count} bytes"
