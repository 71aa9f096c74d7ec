"""One HTTP POST of JSON with a deadline for the whole exchange; standard library only."""

import contextlib
import http.client
import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

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


def post_json(
    url: str, body: bytes, headers: Mapping[str, str], timeout: float, aborted: threading.Event | None = None
) -> Posted:
    """POST a JSON text. Proxies are those of the environment, except to this machine; a redirect is a reply, not
    followed: it would receive the key.

    Errors: OSError or HTTPException if there is no complete reply within `timeout` seconds, or before `aborted` is set.
    """
    sockets: list[socket.socket] = []
    late, finished = threading.Event(), threading.Event()
    end = time.monotonic() + timeout

    def watch() -> None:  # the socket's own timeout is per read: a slow reply would never end
        while not finished.wait(min(_SECONDS, max(0.01, end - time.monotonic()))):
            if time.monotonic() >= end:
                late.set()
            if late.is_set() or (aborted is not None and aborted.is_set()):
                for connected in list(sockets):  # again and again: one may connect later
                    with contextlib.suppress(OSError):
                        connected.shutdown(socket.SHUT_RDWR)

    watcher = threading.Thread(target=watch, daemon=True)
    direct = [urllib.request.ProxyHandler({})] if _is_this_machine(url) else []
    opener = urllib.request.build_opener(_Unredirected, _handler(False, sockets), _handler(True, sockets), *direct)
    request = urllib.request.Request(url, body, {"Content-Type": "application/json", **headers}, method="POST")
    watcher.start()
    try:
        try:
            with opener.open(request, timeout=timeout) as reply:
                return _posted(reply.status, dict(reply.headers), _read(reply))
        except urllib.error.HTTPError as refused:
            with refused:
                return _posted(refused.code, dict(refused.headers), _read(refused))
    except (OSError, http.client.HTTPException, ValueError) as error:
        if late.is_set():
            raise TimeoutError(f"no complete reply within {timeout:g} s") from error
        if isinstance(error, ValueError) and not isinstance(error, OSError):  # a closed connection in mid-read
            raise http.client.HTTPException(str(error)) from error
        raise
    finally:
        finished.set()


def _is_this_machine(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


def _read(reply: Any) -> bytes:
    content = reply.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise http.client.HTTPException(f"the reply is longer than {MOST_BYTES:,} bytes")
    if reply.length:  # read(n) reports no truncated body
        raise http.client.IncompleteRead(content, reply.length)
    return content


def _posted(status: int, headers: Mapping[str, str], content: bytes) -> Posted:
    text = content.decode("utf-8", "replace")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    return Posted(status, headers, value if isinstance(value, dict) else None, text[:500])


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
