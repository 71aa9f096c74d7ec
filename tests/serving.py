"""A server on a real socket, in a thread: `with Running(app) as server`, `server.url`."""

import asyncio
import socket
import threading
from urllib.parse import urlsplit

from burnish.core.http.sockets import bound_socket
from burnish.serve.http.server import serve_app


class Running:
    """Serves until the end of the block, or `stop()`; `counts` are those of `serve_app`. `served` has app and settings.

    `opening` and `closing` are coroutines of its engine, in the loop of the server.
    """

    def __init__(self, served, opening=None, closing=None):
        self.served, self.url, self.counts, self.error = served, "", None, None
        self._opening, self._closing = opening, closing
        self._stopping, self._ready = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(60)
        if self.error:
            raise self.error
        return self

    def __exit__(self, *_):
        self.stop()

    def ask_to_stop(self):
        self._stopping.set()

    def stop(self):
        self._stopping.set()
        self._thread.join(20)
        assert not self._thread.is_alive()

    @property
    def address(self):
        parts = urlsplit(self.url)
        return parts.hostname, parts.port

    def raw(self, data, seconds=5.0, parts=()):
        """What is answered to these bytes, up to the end of the connection or of the time."""
        with socket.create_connection(self.address, timeout=seconds) as connection:
            connection.settimeout(seconds)
            connection.sendall(data)
            for part in parts:
                connection.sendall(part)
            received = b""
            try:
                while block := connection.recv(65536):
                    received += block
                    if _is_complete(received):
                        break
            except (TimeoutError, ConnectionError):
                pass
            return received

    def _run(self):
        def on_ready(url):
            self.url = url
            self._ready.set()

        try:
            self.counts = asyncio.run(self._serve(on_ready))
        except BaseException as error:
            self.error = error
            self._ready.set()

    async def _serve(self, on_ready):
        if self._opening is not None:
            await self._opening()
        try:
            settings = self.served.settings
            bound = bound_socket(settings.host, settings.port)
            return await serve_app(self.served.app, settings, bound, self._stopping.is_set, on_ready)
        finally:
            if self._closing is not None:
                await self._closing()


def _is_complete(received):
    head, _, body = received.partition(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            return len(body) >= int(line.split(b":")[1])
    return False
