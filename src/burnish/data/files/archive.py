"""A .zip as a folder of files that are read in place: nothing is extracted to disk."""

import io
import lzma
import stat
import zipfile
import zlib
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Any, cast

from burnish.core.errors import DataError
from burnish.data.files.folder import in_order, is_hidden, leads_outside
from burnish.data.record import ReadReport

BROKEN = (zipfile.BadZipFile, lzma.LZMAError, zlib.error, NotImplementedError)
"""Errors of reading a damaged member, besides OSError and EOFError."""
_MOST_MEMBERS = 100_000
_LARGE, _MOST_RATIO = 100 * 1024 * 1024, 250
"""A member that unpacks to more bytes than this, and to so many times its packed size, is treated as a bomb."""


class Member:
    """A file inside a .zip, with the part of `Path` that stream readers need."""

    def __init__(self, archive: Path, name: str, size: int):
        self.archive, self.size = archive, size
        self._path, self._name = PurePosixPath(name), name

    @property
    def name(self) -> str:
        return self._path.name

    @property
    def stem(self) -> str:
        return self._path.stem

    @property
    def suffix(self) -> str:
        return self._path.suffix

    def open(self, mode: str = "rb") -> io.BufferedReader:
        """Its unpacked bytes, at most as many as the archive declares; more or others are an error of zipfile."""
        with zipfile.ZipFile(self.archive) as opened:  # the member keeps the file open
            return io.BufferedReader(cast(Any, opened.open(self._name)), 1 << 20)


def members(path: Path, reading: ReadReport) -> dict[str, Member]:
    """The files of an archive by name. DataError `data.unreadable` for one that is broken, encrypted or hostile."""
    try:
        with zipfile.ZipFile(path) as archive:
            listed = [info for info in archive.infolist() if not info.is_dir()]
    except (OSError, EOFError, *BROKEN) as error:
        raise DataError("data.unreadable", f"{path.name} cannot be read: {error}", "check the file") from error
    names = Counter(info.filename for info in listed)
    problem = f"holds {len(listed):,} files" if len(listed) > _MOST_MEMBERS else ""
    for info in listed:
        problem = problem or _problem(info, names[info.filename])
    if problem:
        raise DataError("data.unreadable", f"{path.name} {problem}", "extract it yourself, and use the folder")
    links = [info.filename for info in listed if stat.S_ISLNK(info.external_attr >> 16)]
    reading.skip(path.name, links, "a link in an archive")
    sizes = {info.filename: info.file_size for info in listed}
    taken = [name for name in in_order(sizes) if name not in links and not is_hidden(name)]
    return {name: Member(path, name, sizes[name]) for name in taken}


def _problem(info: zipfile.ZipInfo, count: int) -> str:
    name = info.filename
    if leads_outside(name):
        return f"holds '{name}', which is outside it"
    if count > 1:
        return f"holds {count} files called '{name}'"
    if info.flag_bits & 1:
        return f"is encrypted: '{name}'"
    if info.file_size > _LARGE and info.file_size > _MOST_RATIO * info.compress_size:
        return f"holds '{name}', which unpacks to {info.file_size:,} bytes from {info.compress_size:,}"
    return ""
