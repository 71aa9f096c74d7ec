"""Archives unpacked to a folder, or refused whole: nothing is written outside it, and no bomb is unpacked.

Files are created anew and never through a link, so that no member can lead out of the folder. Links are left out and
reported. An archive that is refused leaves nothing.
"""

import bz2
import gzip
import io
import lzma
import os
import shutil
import tarfile
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from burnish.core.errors import DataError, MachineError
from burnish.core.files import file_size
from burnish.data.files.archive import BROKEN, members
from burnish.data.files.endings import ENDINGS, archive_ending
from burnish.data.files.folder import leads_outside
from burnish.data.files.opening import ZstdFrames
from burnish.data.record import ReadReport

MOST_MEMBERS = 100_000
_LARGE, _MOST_RATIO = 100 * 1024 * 1024, 250
"""An archive that unpacks to more bytes than this, and to so many times its size, is treated as a bomb."""
_LONGEST_NAME, _DEEPEST = 255, 100
_CHUNK = 1 << 20
_MOST_HEADER = 16 << 20
"""Bytes of one header of a tar; its size is what the archive says it is."""
_KEPT = 4096
_MOST_PADDING = 16 << 20
Report = Callable[[int], None]


def unpack(archive: Path, into: Path, shown: str, reading: ReadReport, unpacked: Report = lambda _: None) -> Path:
    """Unpack an archive to the folder `into`, which is there only once it is whole. `unpacked` gets bytes.

    Errors: DataError `data.unsafe-archive` naming the archive and the member; `data.unreadable` for a damaged one or
    one that is not unpacked; MachineError `machine.no-disk`.
    """
    if into.exists():
        return into
    ending = archive_ending(shown)
    if ending not in ENDINGS:
        raise DataError("data.unreadable", f"{shown}: {ending} is not unpacked", "unpack it, and use its folder")
    partial = into.with_name(f"{into.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    room = _Room(archive, partial, shown, unpacked)
    try:
        if ending == ".zip":
            _unpack_zip(archive, room, reading)
        else:
            _unpack_tar(archive, ending, room, reading)
        os.rename(partial, into)
    except (tarfile.TarError, EOFError, zlib.error, *BROKEN) as error:
        raise DataError("data.unreadable", f"{shown} cannot be read: {error}", "check the file") from error
    except Exception as error:
        is_damage = isinstance(error, OSError) and error.errno is None  # gzip and bz2 say so
        if not is_damage and type(error).__module__.partition(".")[0] != "zstandard":
            raise
        raise DataError("data.unreadable", f"{shown} cannot be read: {error}", "check the file") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return into


class _Room:
    """The folder that an archive is unpacked to, and what may still be written there."""

    def __init__(self, archive: Path, folder: Path, shown: str, unpacked: Report):
        self.folder, self._shown, self._unpacked = folder, shown, unpacked
        self._packed = archive.stat().st_size
        self._free = shutil.disk_usage(folder).free
        self._written, self._members = 0, 0
        self._taken: set[str] = set()

    def refuse(self, what: str) -> DataError:
        fix = "nothing of it was kept; if you trust it, unpack it yourself, and use the folder"
        return DataError("data.unsafe-archive", f"{self._shown} {what}", fix)

    def count(self) -> None:
        """One more member."""
        self._members += 1
        if self._members > MOST_MEMBERS:
            raise self.refuse(f"holds more than {MOST_MEMBERS:,} files and folders")

    def write(self, name: str, content: IO[bytes]) -> None:
        """Write one file. DataError `data.unsafe-archive` for a name or an amount that is not safe."""
        path = self._place(name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                while piece := content.read(_CHUNK):
                    self._grow(len(piece), name)
                    file.write(piece)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            raise self.refuse(f"holds '{name}' twice, or below a file") from None

    def _place(self, name: str) -> Path:
        if leads_outside(name):
            raise self.refuse(f"holds '{name}', which is outside it")
        parts = PurePosixPath(name.replace("\\", "/")).parts
        odd = any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name)
        if odd or any(len(part.encode("utf-8", "replace")) > _LONGEST_NAME for part in parts) or len(parts) > _DEEPEST:
            raise self.refuse(f"holds {ascii(name)[:100]}, which is no name of a file here")
        key = unicodedata.normalize("NFC", "/".join(parts)).casefold()
        if key in self._taken:
            raise self.refuse(f"holds '{name}' twice, on some systems or on all")
        self._taken.add(key)
        return self.folder.joinpath(*parts)

    def _grow(self, count: int, name: str) -> None:
        self._written += count
        self._unpacked(count)
        if self._written > _LARGE and self._written > _MOST_RATIO * self._packed:
            what = f"unpacks to more than {_MOST_RATIO} times its {self._packed:,} bytes (at '{name}')"
            raise self.refuse(what)
        if self._written > self._free:
            what = f"{self._shown} unpacks to more than the {file_size(self._free)} that are free in {self.folder}"
            raise MachineError("machine.no-disk", what, "free space, or unpack a part of it yourself")


def _unpack_zip(archive: Path, room: _Room, reading: ReadReport) -> None:
    try:
        listed = members(archive, reading)
    except DataError as error:
        if "cannot be read" in error.reason:
            raise
        raise room.refuse(error.reason.removeprefix(f"{archive.name} ")) from None
    for name, member in listed.items():
        room.count()
        with member.open() as content:
            room.write(name, content)


def _unpack_tar(archive: Path, ending: str, room: _Room, reading: ReadReport) -> None:
    links: list[str] = []
    with archive.open("rb", buffering=_CHUNK) as packed, _Forward(_stream(packed, ending)) as stream:
        for member, content in _members(stream):
            room.count()
            if leads_outside(member.name):
                raise room.refuse(f"holds '{member.name}', which is outside it")
            try:
                safe = tarfile.data_filter(member, str(room.folder))
            except tarfile.FilterError as error:
                raise room.refuse(f"holds '{member.name}': {_reason(error)}") from None
            if safe.isreg():
                room.write(member.name, content)
            elif safe.issym() or safe.islnk():
                links.append(member.name)
            elif not safe.isdir():
                raise room.refuse(f"holds '{member.name}', which is no file")
    reading.skip(archive.name, links, "a link in an archive")


def _members(stream: "_Forward") -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    with tarfile.open(fileobj=cast(Any, stream), mode="r:", errorlevel=1) as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isreg() else None
            yield member, content or io.BytesIO()
    if stream.last_block.strip(b"\0"):  # tarfile takes a damaged header for the end
        raise tarfile.ReadError(f"it is damaged or cut off at byte {stream.tell():,}")
    for _ in range(_MOST_PADDING // _CHUNK):
        piece = stream.read(_CHUNK)
        if not piece:
            return
        if piece.strip(b"\0"):
            break
    raise tarfile.ReadError(f"something follows its end at byte {stream.tell():,}")


def _stream(packed: IO[bytes], ending: str) -> IO[bytes]:
    if ending in (".tar.gz", ".tgz"):
        return cast(Any, gzip.GzipFile(fileobj=packed, mode="rb"))
    if ending in (".tar.bz2", ".tbz2"):
        return cast(Any, bz2.BZ2File(packed))
    if ending in (".tar.xz", ".txz"):
        return cast(Any, lzma.LZMAFile(packed))
    if ending in (".tar.zst", ".tzst"):
        return cast(Any, io.BufferedReader(ZstdFrames(packed), _CHUNK))
    return packed


class _Forward:
    """A stream that tarfile can seek forward in, and back by a little. One read gives a bounded amount."""

    def __init__(self, stream: IO[bytes]):
        self._stream, self._at, self._recent = stream, 0, b""
        self._back = 0
        self.last_block = b""
        """The header that was read last."""

    def __enter__(self) -> "_Forward":
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def tell(self) -> int:
        return self._at - self._back

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MOST_HEADER:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        again = self._recent[len(self._recent) - self._back :][:size]
        self._back -= len(again)
        pieces, left = [again], size - len(again)
        while left and (piece := self._stream.read(left)):
            pieces.append(piece)
            left -= len(piece)
            self._at += len(piece)
            self._recent = (self._recent + piece)[-_KEPT:]
        made = b"".join(pieces)
        if size == tarfile.BLOCKSIZE:
            self.last_block = made or b"cut off"
        return made

    def seek(self, position: int, whence: int = io.SEEK_SET) -> int:
        if whence != io.SEEK_SET or position < self._at - len(self._recent):
            raise tarfile.ReadError("its parts are not in order")
        if position <= self._at:
            self._back = self._at - position
        else:
            self._back = 0
            while self._at < position and self.read(min(_CHUNK, position - self._at)):
                pass
        return self.tell()


def _reason(error: tarfile.FilterError) -> str:
    kinds = {
        "SpecialFileError": "a device or pipe",
        "AbsoluteLinkError": "a link to an absolute path",
        "LinkOutsideDestinationError": "a link that leads outside",
    }
    return kinds.get(type(error).__name__, "a path that leads outside")
