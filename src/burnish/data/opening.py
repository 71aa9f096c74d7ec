"""Opening a file as a stream of UTF-8 bytes: unpacked if it is .gz or .zst, its byte-order mark honoured."""

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from burnish.core.errors import DataError
from burnish.data.record import MAX_ROW_BYTES, Reading

PACKED = (".gz", ".zst")
_CHUNK = 1 << 20
_MARKS = (  # the longer mark first: UTF-32's begins with UTF-16's
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@contextmanager
def opened(path: Path, name: str, reading: Reading) -> Iterator["ByteStream"]:
    """A buffered stream of a file's UTF-8 bytes. DataError `data.unreadable` when the file or its packing is broken."""
    try:
        with path.open("rb") as disk:
            stream = ByteStream(_decoded(_unpacked(path, disk), name, reading), disk, reading)
            try:
                yield stream
            finally:
                stream.buffer.close()
    except (OSError, EOFError, zlib.error) as error:
        raise unreadable(name, error) from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "zstandard":
            raise
        raise unreadable(name, error) from error


def unreadable(name: str, error: Exception) -> DataError:
    return DataError("data.unreadable", f"{name} cannot be read: {error}", "check the file, or fetch it again")


@dataclass
class Line:
    """One line without its end. `size` is its whole length in bytes; a longer one than MAX_ROW_BYTES is cut short."""

    number: int
    data: bytes
    size: int


class ByteStream:
    """The bytes of one file, by line or by chunk, telling the tally how far the file on disk is read."""

    def __init__(self, buffer: io.BufferedIOBase, disk: IO[bytes], reading: Reading):
        self.buffer, self._disk, self._reading = buffer, disk, reading

    def read(self, size: int = _CHUNK) -> bytes:
        data = self.buffer.read(size)
        self._reading.at(self._disk.tell())
        return data

    def lines(self) -> Iterator[Line]:
        """Every line, numbered from 1. Memory is bounded by MAX_ROW_BYTES whatever the file holds."""
        number = 0
        while data := self.buffer.readline(MAX_ROW_BYTES + 1):
            number += 1
            size = len(data)
            if size > MAX_ROW_BYTES and not data.endswith(b"\n"):
                data = data[:_CHUNK]
                while rest := self.buffer.readline(_CHUNK):
                    size += len(rest)
                    if rest.endswith(b"\n"):
                        break
            if number % 64 == 0:
                self._reading.at(self._disk.tell())
            end = 2 if data.endswith(b"\r\n") else 1 if data.endswith(b"\n") else 0
            yield Line(number, data[: len(data) - end], size)


def _unpacked(path: Path, disk: IO[bytes]) -> io.BufferedIOBase:
    if path.suffix == ".gz":
        return io.BufferedReader(cast(Any, gzip.GzipFile(fileobj=disk, mode="rb")), _CHUNK)
    if path.suffix == ".zst":
        import zstandard

        reader = zstandard.ZstdDecompressor().stream_reader(disk, read_across_frames=True, closefd=False)
        return io.BufferedReader(cast(Any, reader), _CHUNK)
    return cast(io.BufferedIOBase, disk)


def _decoded(stream: io.BufferedIOBase, name: str, reading: Reading) -> io.BufferedIOBase:
    """The stream after its byte-order mark; UTF-16 and UTF-32 come out as UTF-8."""
    head = cast(Any, stream).peek(4)[:4]
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            stream.read(len(mark))
            reading.say(f"{name} starts with a byte-order mark: read as {encoding.upper()}")
            return stream if encoding == "utf-8" else io.BufferedReader(_Transcoder(stream, encoding), _CHUNK)
    return stream


class _Transcoder(io.RawIOBase):
    """UTF-16 or UTF-32 to UTF-8. What is broken becomes bytes that are no UTF-8, so that its row is found bad."""

    def __init__(self, stream: io.BufferedIOBase, encoding: str):
        self._stream, self._rest = stream, b""
        self._decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            data = self._stream.read(_CHUNK)
            try:
                text = self._decoder.decode(data, final=not data)
            except UnicodeDecodeError:
                text = "\udcff"  # no encoding of anything: the row that holds it is bad
                self._decoder.reset()
            self._rest = text.encode("utf-8", "surrogatepass")
            if not data:
                break
        given = min(len(buffer), len(self._rest))
        buffer[:given], self._rest = self._rest[:given], self._rest[given:]
        return given
