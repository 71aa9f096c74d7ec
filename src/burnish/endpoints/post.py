"""One HTTP exchange of JSON with a deadline for the whole of it."""

import contextlib
import http.client
import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from burnish.core.inputs.urls import is_this_machine

MOST_BYTES = 32 << 20
"""A longer reply is unreadable."""
_SECONDS = 0.2
"""How often an exchange is looked after."""


@dataclass(frozen=True)
class Posted:
    """The status, headers and body of a reply; a body that is not a JSON object is None."""

    status: int
    headers: Mapping[str, str]
    body: dict[str, Any] | None
    text: str
    """The start of the body, for messages."""


class Deadline:
    """When an exchange is given up: `seconds` after its start, or after it was last renewed."""

    def __init__(self, seconds: float):
        self.seconds = seconds
        self.is_late = threading.Event()
        self.renew()

    def renew(self) -> None:
        self.end = time.monotonic() + self.seconds


@contextlib.contextmanager
def exchange(
    url: str,
    body: bytes | None,
    headers: Mapping[str, str],
    deadline: Deadline,
    aborted: threading.Event | None = None,
) -> Iterator[Any]:
    """The reply to a POST, or to a GET without a body, whatever its status; it is closed at the end of the block.

    Proxies are those of the environment, except to this machine; a redirect is a reply, not followed: it would receive
    the key.

    Errors: OSError or HTTPException, also inside the block, if the exchange breaks, is late, or `aborted` is set.
    """
    sockets: list[socket.socket] = []
    finished = threading.Event()

    def watch() -> None:  # the socket's own timeout is per read: a slow reply would never end
        while not finished.wait(min(_SECONDS, max(0.01, deadline.end - time.monotonic()))):
            if time.monotonic() >= deadline.end:
                deadline.is_late.set()
            if deadline.is_late.is_set() or (aborted is not None and aborted.is_set()):
                for connected in list(sockets):  # again and again: one may connect later
                    with contextlib.suppress(OSError):
                        connected.shutdown(socket.SHUT_RDWR)

    watcher = threading.Thread(target=watch, daemon=True)
    direct = [urllib.request.ProxyHandler({})] if is_this_machine(url) else []
    opener = urllib.request.build_opener(_Unredirected, _handler(False, sockets), _handler(True, sockets), *direct)
    kind = {"Content-Type": "application/json"} if body is not None else {}
    method = "GET" if body is None else "POST"
    request = urllib.request.Request(url, body, {**kind, **headers}, method=method)
    watcher.start()
    try:
        try:
            reply = opener.open(request, timeout=deadline.seconds)
        except urllib.error.HTTPError as refused:
            reply = refused
        with reply:
            yield reply
    except (OSError, http.client.HTTPException, ValueError) as error:
        if deadline.is_late.is_set() or time.monotonic() >= deadline.end:  # the socket may say so before the watcher
            raise TimeoutError(f"no complete reply within {deadline.seconds:g} s") from error
        if isinstance(error, ValueError) and not isinstance(error, OSError):  # a closed connection in mid-read
            raise http.client.HTTPException(str(error)) from error
        raise
    finally:
        finished.set()


def post_json(
    url: str, body: bytes, headers: Mapping[str, str], timeout: float, aborted: threading.Event | None = None
) -> Posted:
    """POST a JSON text.

    Errors: OSError or HTTPException if there is no complete reply within `timeout` seconds, or before `aborted` is set.
    """
    with exchange(url, body, headers, Deadline(timeout), aborted) as reply:
        return whole_reply(reply)


def get_json(url: str, headers: Mapping[str, str], timeout: float) -> Posted:
    """GET a JSON text. Errors: OSError or HTTPException if there is no complete reply within `timeout` seconds."""
    with exchange(url, None, headers, Deadline(timeout)) as reply:
        return whole_reply(reply)


def whole_reply(reply: Any) -> Posted:
    """Read a reply to its end. HTTPException if it is cut off, or longer than MOST_BYTES."""
    content = reply.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise http.client.HTTPException(f"the reply is longer than {MOST_BYTES:,} bytes")
    if reply.length:  # read(n) reports no truncated body
        raise http.client.IncompleteRead(content, reply.length)
    text = content.decode("utf-8", "replace")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    return Posted(reply.status, dict(reply.headers), value if isinstance(value, dict) else None, text[:500])


class _Unredirected(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def _handler(is_https: bool, sockets: list[socket.socket]) -> Any:
    """A handler of urllib that lists the sockets it connects, so that they can be ended."""
    parent: Any = urllib.request.HTTPSHandler if is_https else urllib.request.HTTPHandler
    kind: Any = http.client.HTTPSConnection if is_https else http.client.HTTPConnection

    class Connection(kind):
        def connect(self) -> None:
            super().connect()
            sockets.append(self.sock)

    class Handler(parent):
        def do_open(self, http_class: Any, req: Any, **arguments: Any) -> Any:
            return super().do_open(Connection, req, **arguments)

    return Handler()
