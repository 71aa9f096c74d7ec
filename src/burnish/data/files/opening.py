"""Opening a file as a stream of UTF-8 bytes: decompressed if it is .gz or .zst, and decoded from its encoding."""

import codecs
import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol, cast

from burnish.core.errors import DataError
from burnish.data.files.archive import BROKEN
from burnish.data.files.chinese import is_gb18030, is_utf8
from burnish.data.record import MAX_ROW_BYTES, ReadReport

PACKED = (".gz", ".zst")
_CHUNK = 1 << 20
_MARKS = (  # the longer mark first: UTF-32's begins with UTF-16's
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class Streamed(Protocol):
    """A file that is no path on the disk, such as a member of an archive: the part of `Path` that readers need."""

    @property
    def name(self) -> str: ...

    @property
    def stem(self) -> str: ...

    @property
    def suffix(self) -> str: ...

    def open(self) -> IO[bytes]: ...


@contextmanager
def opened(path: Path | Streamed, name: str, reading: ReadReport) -> Iterator["ByteStream"]:
    """A buffered stream of a file's UTF-8 bytes. DataError `data.unreadable` when the file cannot be unpacked."""
    try:
        with _open(path) as disk:
            stream = ByteStream(_decoded(_unpacked(path, disk), name, reading), disk, name, reading)
            try:
                yield stream
            finally:
                stream.buffer.close()
    except (OSError, EOFError, *BROKEN) as error:
        raise unreadable(name, error) from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "zstandard":
            raise
        raise unreadable(name, error) from error


@contextmanager
def opened_between(path: Path, name: str, reading: ReadReport, start: int, stop: int) -> Iterator["ByteStream"]:
    """A range of the bytes of a file that `is_plain`. Errors: those of `opened`."""
    try:
        with path.open("rb", buffering=0) as disk:
            disk.seek(start)
            yield ByteStream(io.BufferedReader(_Between(disk, stop - start), _CHUNK), disk, name, reading)
    except OSError as error:
        raise unreadable(name, error) from error


def is_plain(path: Path, reading: ReadReport) -> bool:
    """Whether a file's bytes are those of its text in UTF-8: not packed, no byte-order mark, no other encoding."""
    if path.suffix.lower() in PACKED:
        return False
    with path.open("rb", buffering=_CHUNK) as disk:
        unreported = ReadReport(encoding=reading.encoding)
        is_same = _decoded(cast(Any, disk), path.name, unreported) is cast(Any, disk) and not disk.tell()
        reading.used_encoding |= unreported.used_encoding and is_same
        return is_same


def _open(path: Path | Streamed) -> IO[bytes]:
    return path.open("rb", buffering=_CHUNK) if isinstance(path, Path) else path.open()


def unreadable(name: str, error: Exception) -> DataError:
    return DataError("data.unreadable", f"{name} cannot be read: {error}", "check the file, or fetch it again")


@dataclass(slots=True)
class Line:
    """One line without its end. `size` is its whole length in bytes; a line longer than MAX_ROW_BYTES is cut."""

    number: int
    data: bytes
    size: int
    end: bytes = b""
    """How the line ends: LF, CR LF, or with the file."""


class ByteStream:
    """The bytes of one file, by line or by chunk, reporting how much of the file on disk is read.

    Errors: DataError `data.unreadable` where the `max_bytes_without_row` of the reading are exceeded.
    """

    def __init__(self, buffer: io.BufferedIOBase, disk: IO[bytes], name: str, reading: ReadReport):
        self.buffer, self._disk, self._name, self._reading = buffer, disk, name, reading

    def read(self, size: int = _CHUNK) -> bytes:
        data = self.buffer.read(size)
        self._reading.at(self._disk.tell())
        self._refuse_endless(len(data), self._name)
        return data

    def lines(self) -> Iterator[Line]:
        """Every line, numbered from 1. Memory is bounded by MAX_ROW_BYTES whatever the file holds."""
        number, begun = 0, bytearray()
        left_out = 0  # of a line that is too long: the bytes behind its start
        while block := self.buffer.read1(_CHUNK):
            self._reading.at(self._disk.tell())
            self._refuse_endless(len(block), f"{self._name}:{number + 1}")
            *ended, rest = block.split(b"\n")
            if ended:
                if left_out:
                    number += 1
                    yield Line(number, bytes(begun), len(begun) + left_out + len(ended.pop(0)) + 1)
                else:
                    ended[0] = bytes(begun) + ended[0]
                for data in ended:
                    number += 1
                    yield _line(number, data, b"\n")
                begun, left_out = bytearray(rest), 0
            elif left_out:
                left_out += len(rest)
            else:
                begun += rest
            if len(begun) > MAX_ROW_BYTES:
                begun, left_out = begun[:_CHUNK], len(begun) - _CHUNK
        if begun:
            size = len(begun) + left_out
            yield Line(number + 1, bytes(begun), size) if left_out else _line(number + 1, bytes(begun), b"")

    def _refuse_endless(self, count: int, where: str) -> None:
        """Count bytes that were read, where there is a bound."""
        reading = self._reading
        if reading.max_bytes_without_row is None:
            return
        reading.since_row += count
        if reading.since_row > reading.max_bytes_without_row:
            what = f"{where}: no row ends within {reading.since_row:,} bytes, and a row has {MAX_ROW_BYTES:,} at most"
            fix = "check that it is what its name says; without `limit` it is read to its end"
            raise DataError("data.unreadable", what, fix)


def _line(number: int, data: bytes, end: bytes) -> Line:
    size = len(data) + len(end)
    if len(data) > MAX_ROW_BYTES:
        return Line(number, data[:_CHUNK], size)
    if end and data.endswith(b"\r"):
        return Line(number, data[:-1], size, b"\r\n")
    return Line(number, data, size, end)


def _unpacked(path: Path | Streamed, disk: IO[bytes]) -> io.BufferedIOBase:
    packing = path.suffix.lower()
    if packing == ".gz":
        return io.BufferedReader(cast(Any, gzip.GzipFile(fileobj=disk, mode="rb")), _CHUNK)
    if packing == ".zst":
        return io.BufferedReader(ZstdFrames(disk), _CHUNK)
    return cast(io.BufferedIOBase, disk)


def _decoded(stream: io.BufferedIOBase, name: str, reading: ReadReport) -> io.BufferedIOBase:
    """The stream as UTF-8, after its byte-order mark: decoded as the mark or the setting says, or from GB18030."""
    head = cast(Any, stream).peek(4)
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            stream.read(len(mark))
            reading.note(f"{name} starts with a byte-order mark: read as {encoding.upper()}")
            return stream if encoding == "utf-8" else io.BufferedReader(_Transcoder(stream, encoding), _CHUNK)
    encoding = reading.encoding
    reading.used_encoding |= encoding is not None
    if encoding is None and not is_utf8(sample := cast(Any, stream).peek(_CHUNK)) and is_gb18030(sample):
        encoding = "gb18030"
        reading.warn(f"{name} is not UTF-8, and is read as GB18030 (Chinese); set `encoding` to choose")
    if encoding is None or codecs.lookup(encoding).name == "utf-8":
        return stream
    return io.BufferedReader(_Transcoder(stream, encoding), _CHUNK)


class Pieces(io.RawIOBase):
    """A stream produced piece by piece: `piece` gives the next bytes, or None at the end."""

    _rest = b""

    def piece(self) -> bytes | None:
        raise NotImplementedError

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            made = self.piece()
            if made is None:
                return 0
            self._rest = made
        given = min(len(buffer), len(self._rest))
        buffer[:given], self._rest = self._rest[:given], self._rest[given:]
        return given


class _Between(io.RawIOBase):
    """The next so many bytes of a file."""

    def __init__(self, disk: IO[bytes], size: int):
        self._disk, self._left = cast(io.FileIO, disk), size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        given = self._disk.readinto(memoryview(buffer)[: self._left]) or 0
        self._left -= given
        return given


class ZstdFrames(Pieces):
    """Decompresses zstandard frames, and fails at a truncated one, where the package's own reader just ends.

    It is fed a little at a time: even of a bomb, that much unpacks to 32 MiB at most (128 KiB for 4 bytes).
    """

    _FED = 1024

    def __init__(self, packed: IO[bytes]):
        self._packed, self._left = packed, b""
        self._frame: Any = None

    def piece(self) -> bytes | None:
        import zstandard

        data = self._left or self._packed.read(self._FED)
        self._left = b""
        if not data:
            if self._frame is not None:
                raise EOFError("the archive ends in the middle")
            return None
        if self._frame is None:
            self._frame = zstandard.ZstdDecompressor().decompressobj(write_size=32 * 1024)
        made = self._frame.decompress(data)
        if self._frame.eof:
            self._left, self._frame = self._frame.unused_data, None
        return made


class _Transcoder(Pieces):
    """UTF-16 or UTF-32 to UTF-8. What is broken becomes bytes that are not UTF-8, so that its row is found bad."""

    def __init__(self, stream: io.BufferedIOBase, encoding: str):
        self._stream, self._ended = stream, False
        self._decoder = codecs.getincrementaldecoder(encoding)(_MARKED)

    def piece(self) -> bytes | None:
        if self._ended:
            return None
        data = self._stream.read(_CHUNK)
        self._ended = not data
        return self._decoder.decode(data, final=self._ended).encode("utf-8", "surrogatepass")


def _mark(error: UnicodeError) -> tuple[str, int]:
    """A lone surrogate in place of what cannot be decoded; decoding continues after it."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\udcff", error.end


_MARKED = "burnish.marked"
codecs.register_error(_MARKED, _mark)
