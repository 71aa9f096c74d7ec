"""A file at a URL as a stream or with random access: a connection that drops is opened again where it broke."""

import io
import re
import time
import urllib.error
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import Message
from pathlib import PurePosixPath
from typing import Any, cast

from burnish.core.errors import AskError, BurnishError, DataError, MachineError, RunError
from burnish.core.inputs.urls import FAULTS, open_url, unreachable, validator_of
from burnish.data.fetch.coding import HEAD, coding_in, unpacked

CHUNK = 1 << 20
_AGAIN = (408, 425, 429, 500, 502, 503, 504)
_LONGEST_WAIT = 30.0
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


@dataclass(frozen=True)
class Connection:
    """How files are requested: the longest silence in seconds, attempts after a fault, hosts allowed by name."""

    seconds: float = 60.0
    retries: int = 5
    allowed: Collection[str] = ()
    backoff: float = 0.5
    """Seconds before the first retry, doubled with each."""
    received: Callable[[int], None] = lambda _: None
    """Called with the number of bytes that arrived."""
    is_stopping: Callable[[], bool] = lambda: False


@dataclass
class Sent:
    """How a server sends a file, as its replies say: each transfer has one of its own, and adds to it."""

    coding: str | None = None
    """The Content-Encoding, "" for none; None before the first reply."""
    names_length: bool = False
    """Whether the latest reply with the whole file said how long it is."""


@dataclass(frozen=True)
class Remote:
    """A file at a URL, with the part of `Path` that stream readers need.

    `size` and `validator` are what is known of it, "" and None for nothing: another content is an error, not rows.
    """

    url: str
    shown: str
    """Its path in messages, such as `data/train.jsonl`."""
    connection: Connection
    size: int | None = None
    validator: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    is_pinned: bool = False
    """Whether the URL always has the same content, as a file at a commit."""
    gate: str = ""
    """Where access is requested, of a file whose hub may refuse it."""

    @property
    def name(self) -> str:
        return PurePosixPath(self.shown).name

    @property
    def stem(self) -> str:
        return PurePosixPath(self.shown).stem

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.shown).suffix

    def open(self, mode: str = "rb") -> io.BufferedReader:
        """Its content from the start, as it arrives: unpacked if the server sends it with a Content-Encoding."""
        sent = Sent()
        arriving = io.BufferedReader(cast(Any, _Stream(self, sent)), max(HEAD, 1 << 16))
        return unpacked(arriving, sent.coding or "", self.name)

    def open_random(self) -> io.BufferedReader:
        """Its bytes in any order: each read is a request. Errors: DataError if its server gives no ranges."""
        return io.BufferedReader(cast(Any, _Random(self)), 1 << 16)

    def gives_ranges(self) -> bool:
        """Whether its size is known, and its server sends the part of its content that is requested."""
        if self.size is None:
            return False
        sent = Sent()
        try:
            with self._requested(0, 1, self.size, self.validator, sent) as reply:
                return reply.status == 206 and not sent.coding
        except FAULTS:  # whatever it is, the download meets it too
            return False

    def replies(self, start: int = 0, length: int | None = None, sent: Sent | None = None) -> Iterator[bytes]:
        """The bytes from `start` on in pieces, `length` of them or all; the connection is opened again as needed.

        They are as the server sends them, packed as `sent.coding` says.

        Errors: AskError `ask.bad-reference` for a refusal; MachineError `machine.no-network`; RunError
        `run.input-changed` if the content is no longer the same.
        """
        sent = sent or Sent()
        end = start + length if length is not None else self.size
        size, at, faults, validator = self.size, start, 0, self.validator
        while end is None or at < end:
            begun = at
            try:
                with self._requested(at, end, size, validator, sent) as reply:
                    validator = validator or validator_of(reply.headers)
                    if not at and length is None and reply.chunked:
                        end = size = None  # its chunks say where it ends; the size may be of what its server stores
                    elif end is None and reply.status == 206 and (total := _total(reply)) is not None:
                        end = size = total
                    for piece in _pieces(reply, None if end is None else end - at):
                        at, faults = at + len(piece), 0
                        self.connection.received(len(piece))
                        yield piece
                        self.refuse_stop()
                    if reply.length and (end is None or at < end):
                        raise ConnectionError(f"{reply.length:,} bytes are missing")
                    if end is not None and end == at == size and reply.status == 200 and reply.read1(1):
                        raise self._of_other_length(at, "more")
                if end is None:
                    if missing := self._missing(at, sent):
                        raise ConnectionError(f"{missing:,} bytes are missing")
                    return
                if at == begun:  # a shorter reply than requested is continued, an empty one is a fault
                    raise ConnectionError(f"{end - at:,} bytes are missing")
            except BurnishError:
                raise
            except urllib.error.HTTPError as refused:
                refused.close()
                faults += 1
                if refused.code == 416 and end is None and not self._missing(at, sent):
                    self._refuse_other_end(at, refused.headers)
                    return
                if refused.code not in _AGAIN or faults > self.connection.retries:
                    raise self.refusal(refused.code) from None
                self.wait(faults, refused.headers.get("Retry-After", ""))
            except FAULTS as error:
                faults += 1
                if faults > self.connection.retries or (at > start and not (validator or self.is_pinned)):
                    raise unreachable(self.url, error) from error  # without a validator the rest may be of another file
                self.wait(faults)

    def _missing(self, at: int, sent: Sent) -> int:
        """Bytes that are missing of a file whose replies did not say its length; 0 where its size is another one's."""
        return 0 if self.size is None or sent.coding else max(0, self.size - at)

    def _requested(self, start: int, end: int | None, size: int | None, validator: str, sent: Sent) -> Any:
        """A reply whose body starts at `start`."""
        headers = dict(self.headers)
        if start or (end is not None and end != size):
            headers["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
            if condition := _condition(validator):
                headers["If-Range"] = condition
        self.refuse_stop()
        connection = self.connection
        reply = open_url(self.url, headers=headers, allowed=connection.allowed, seconds=connection.seconds)
        try:
            self._refuse_other(reply, start, validator, sent, size)
            if reply.status == 200 and start:
                _skip(reply, start)
        except BaseException:
            reply.close()
            raise
        return reply

    def _refuse_other(self, reply: Any, start: int, validator: str, sent: Sent, size: int | None) -> None:
        found = validator_of(reply.headers)
        if validator and found != validator:
            raise self._changed(f"it was {validator}, and is {found or 'without ETag'}")
        if reply.status == 206:
            given = _RANGE.fullmatch(reply.headers.get("Content-Range", ""))
            if given is None or int(given[1]) != start:
                raise self._changed(f"bytes from {start:,} were requested, and others sent")
        total = _total(reply)
        if size is not None and total not in (None, size):
            raise self._of_other_length(size, f"{total:,}")
        coding = coding_in(reply.headers, f"{self.shown} ({self.url})")
        if reply.status == 200 or coding:  # a part may leave it out
            if sent.coding not in (None, coding):
                raise self._changed(f"its Content-Encoding was '{sent.coding}', and is '{coding}'")
            sent.coding = coding
        if reply.status == 200:
            sent.names_length = reply.length is not None

    def _refuse_other_end(self, at: int, headers: Message) -> None:
        """After a 416: nothing is left from `at` on, unless the file has another length."""
        total = _after_slash(headers)
        if total.isdecimal() and int(total) != at:
            raise self._changed(f"bytes from {at:,} were requested, and it has {int(total):,}")

    def _changed(self, why: str) -> RunError:
        return RunError(
            "run.input-changed", f"{self.shown} ({self.url}) changed while it was fetched: {why}", "run it again"
        )

    def _of_other_length(self, size: int, sent: str) -> RunError:
        what = f"{self.shown} ({self.url}): its server first said that it has {size:,} bytes, and then sent {sent}"
        fix = "run it again; if the error stays, download the file yourself, and use it: file:PATH"
        return RunError("run.input-changed", what, fix)

    def refusal(self, status: int) -> BurnishError:
        what = f"{self.shown}: {self.url} returned {status}"
        if status in (401, 403) and self.gate:
            fix = f"request access at {self.gate}, and set HF_TOKEN to a token of an account that has it"
            return AskError("ask.bad-reference", f"{what}: access is restricted", fix)
        if status in _AGAIN:
            return MachineError("machine.no-network", what, "run it again later: what was downloaded is kept")
        return AskError("ask.bad-reference", what, "check the address, the revision and your access")

    def wait(self, faults: int, requested: str = "") -> None:
        seconds = self.connection.backoff * 2 ** (faults - 1)
        if requested.isdecimal():
            seconds = max(seconds, float(requested))
        end = time.monotonic() + min(seconds, _LONGEST_WAIT)
        while (left := end - time.monotonic()) > 0:
            self.refuse_stop()
            time.sleep(min(left, 0.2))

    def refuse_stop(self) -> None:
        """RunError `run.interrupted` if the step is to stop."""
        if self.connection.is_stopping():
            raise RunError("run.interrupted", f"stopped while {self.shown} was fetched", "run it again to resume")


class _Stream(io.RawIOBase):
    """The bytes of a file in their order. Of what has a Content-Encoding, the first read gives HEAD bytes or all."""

    def __init__(self, remote: Remote, sent: Sent):
        self._pieces = remote.replies(sent=sent)
        head = next(self._pieces, b"")
        while sent.coding and len(head) < HEAD and (piece := next(self._pieces, None)):
            head += piece
        self._rest: memoryview = memoryview(head)
        self._position = 0

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        given = min(len(buffer), len(self._rest))
        buffer[:given], self._rest = self._rest[:given], self._rest[given:]
        self._position += given
        return given

    def close(self) -> None:
        with suppress(ValueError):  # a generator that is running
            cast(Any, self._pieces).close()
        super().close()


class _Random(io.RawIOBase):
    """The bytes of a file by ranges."""

    def __init__(self, remote: Remote):
        if remote.size is None:
            raise DataError("data.unreadable", f"{remote.shown} has no known size", "fetch it without `limit`")
        self._remote, self._size, self._position = remote, remote.size, 0
        self._sent = Sent(coding="")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), self._size - self._position)
        if wanted <= 0:
            return 0
        given = 0
        for piece in self._remote.replies(self._position, wanted, self._sent):
            buffer[given : given + len(piece)] = piece
            given += len(piece)
        self._position += given
        return given


def _pieces(reply: Any, most: int | None) -> Iterator[bytes]:
    """The body, at most so many bytes of it: a server without ranges sends more than requested."""
    left = most
    while left is None or left > 0:
        piece = reply.read1(CHUNK if left is None else min(CHUNK, left))
        if not piece:
            return
        left = None if left is None else left - len(piece)
        yield piece


def _total(reply: Any) -> int | None:
    """The length of the whole file, as a reply names it."""
    total = _after_slash(reply.headers) if reply.status == 206 else reply.headers.get("Content-Length", "")
    return int(total) if total.isdecimal() else None


def _after_slash(headers: Message) -> str:
    return headers.get("Content-Range", "").rpartition("/")[2]


def _skip(reply: Any, count: int) -> None:
    while count:
        piece = reply.read(min(CHUNK, count))
        if not piece:
            raise ConnectionError("the reply ended before its part began")
        count -= len(piece)


def _condition(validator: str) -> str:
    """The value of If-Range; weak ETags are not allowed there."""
    kind, _, value = validator.partition(" ")
    return "" if value.startswith("W/") else value if kind in ("ETag", "of") else ""
