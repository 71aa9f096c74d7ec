"""Content-Encoding: what a server packs to send it is unpacked, so that a file is what its name says."""

import gzip
import io
import zlib
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast

from burnish.core.errors import DataError
from burnish.data.files.opening import Pieces, ZstdFrames

_OTHER_NAMES = {"x-gzip": "gzip", "identity": ""}
_KNOWN = ("", "gzip", "zstd")
_ENDINGS = {"gzip": (".gz", ".tgz"), "zstd": (".zst", ".tzst")}
_MAGIC = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}
_CHUNK = 1 << 16
HEAD = 132 << 10
"""Bytes of a packed file that say whether it is packed twice: zstd has blocks of up to 128 KiB."""
_LARGE, _MOST_RATIO = 100 * 1024 * 1024, 250
"""Content of more bytes than this, and of so many times those that were sent, is treated as a bomb."""


def coding_in(headers: Mapping[str, str], shown: str) -> str:
    """The Content-Encoding of a reply, "" for none. DataError `data.unreadable` for one that is not unpacked."""
    given = (headers.get("Content-Encoding") or "").strip().lower()
    coding = _OTHER_NAMES.get(given, given)
    if coding not in _KNOWN:
        what = f"{shown} is sent with Content-Encoding: {given}, though none was requested, and is not unpacked"
        raise DataError("data.unreadable", what, "download and unpack it yourself, and use the file: file:PATH")
    return coding


def unpacked(sent: io.BufferedReader, coding: str, name: str) -> io.BufferedReader:
    """The content of a file that is sent with a Content-Encoding; the stream itself where its name says the same.

    Servers send `rows.jsonl.gz` as gzip, and mean the file: it is unpacked only if it was packed twice. To see that,
    the buffer of `sent` must hold its first HEAD bytes, or all.
    """
    if not coding or (name.lower().endswith(_ENDINGS[coding]) and not _is_packed_twice(sent.peek(HEAD), coding)):
        return sent
    return io.BufferedReader(_Unpacked(sent, coding), _CHUNK)


def _is_packed_twice(head: bytes, coding: str) -> bool:
    inner = b""
    with suppress(EOFError, OSError, zlib.error):
        inner = _stream(io.BytesIO(head[:HEAD]), coding).read(4)
    return inner.startswith(_MAGIC[coding])


def _stream(packed: Any, coding: str) -> Any:
    return gzip.GzipFile(fileobj=packed, mode="rb") if coding == "gzip" else io.BufferedReader(ZstdFrames(packed))


class _Unpacked(Pieces):
    """The content. DataError `data.unsafe-archive` where it is far longer than what was sent."""

    def __init__(self, sent: io.BufferedReader, coding: str):
        self._sent, self._content, self._made = sent, _stream(sent, coding), 0

    def piece(self) -> bytes | None:
        made = self._content.read(_CHUNK)
        self._made += len(made)
        if self._made > _LARGE and self._made > _MOST_RATIO * self._sent.tell():
            what = f"a reply unpacks to more than {_MOST_RATIO} times the {self._sent.tell():,} bytes that were sent"
            raise DataError("data.unsafe-archive", what, "if you trust it, download it yourself, and use the file")
        return made or None

    def tell(self) -> int:
        return self._made

    def close(self) -> None:
        with suppress(ValueError):  # a generator that is running
            self._content.close()
            cast(Any, self._sent).close()
        super().close()
