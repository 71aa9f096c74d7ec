"""Atomic writes: after a crash a file is either complete or absent.

Write, fsync the file, rename, fsync the folder.
"""

import contextlib
import json
import math
import os
import stat
import tempfile
from collections.abc import Generator, Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

from burnish.core.errors import RunError
from burnish.core.printable import encodable


def sync(path: Path) -> None:
    """Flush a file or folder to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(path: Path, content: str | bytes, mode: int = 0o644) -> None:
    """Replace a file's content atomically; `mode` sets its permissions."""
    with _replacing(path, mode) as file:
        if isinstance(content, bytes):
            file.buffer.write(content)
        else:
            file.write(content)


@contextlib.contextmanager
def naming(path: Path) -> Generator[None]:
    """The error of a write, which names no file, names this one: a full disk is that of its folder."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


@contextlib.contextmanager
def _replacing(path: Path, mode: int) -> Generator[TextIO]:
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with naming(path), os.fdopen(descriptor, "w", encoding="utf-8") as file:
            yield file
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
    """Write indented JSON: keys in the given order, non-finite numbers as strings."""
    text = json.dumps(jsonable(value), indent=2, ensure_ascii=False, default=str)
    write_atomically(path, text + "\n", mode)


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write JSON Lines atomically: non-finite numbers as strings, halves of surrogate pairs as U+FFFD."""
    with _replacing(path, 0o644) as file:
        file.writelines(encodable(json.dumps(jsonable(row), ensure_ascii=False)) + "\n" for row in rows)


def jsonable(value: Any) -> Any:
    """Replace `NaN`, `Infinity` and `-Infinity`, which JSON lacks, by strings, as in events."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {key: jsonable(child) for key, child in cast(Mapping[Any, Any], value).items()}
    if isinstance(value, list | tuple):
        return [jsonable(child) for child in cast(list[Any], value)]
    return value


def read_json(path: Path) -> Any:
    """Parse a JSON file, for callers that treat a broken file as absent; records use `core.runs.records`.

    Errors: OSError; ValueError for what is no JSON, is nested deeper than 200 levels, or has half of a surrogate pair:
    no answer can hold that.
    """
    return parsed_json(path.read_text(encoding="utf-8"))


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading. A pipe, whose opening would wait for a writer, and all else that is no file, is refused.

    Errors: OSError; RunError `run.broken-record`.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        kind = "a folder" if path.is_dir() else "a pipe, a socket or a device"
        raise RunError("run.broken-record", f"{path} is {kind}, not a file", "rename or remove it, and try again")
    return path.open("rb")


def parsed_json(text: str | bytes) -> Any:
    """The value of a JSON text. Errors: the ValueError of `read_json`."""
    from pydantic_core import from_json  # not at the start of every command

    try:
        return from_json(text)
    except ValueError as error:
        with contextlib.suppress(RecursionError):
            json.loads(text)  # says more of what is no JSON
        raise ValueError(str(error)) from None


def publish_folder(partial: Path, final: Path) -> None:
    """Flush every file of a folder, then rename it, so that `final` is always complete.

    Some libraries write through temporary files that only the owner can read: published files get the permissions
    of any new file.
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
    """This process's umask. Not read by setting it: files that another thread creates meanwhile would be public."""
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
    """A size with three significant digits, such as `64.3 kB`; a thousand of a unit is `1,000 kB`."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}" if count < 999.5 * size else f"{count / size:,.0f} {unit}"
    return f"{count} bytes"
