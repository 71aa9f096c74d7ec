"""One connection: its headers must arrive in time, and what is not HTTP gets an answer in OpenAI's shape."""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from burnish.serve.http.wire.encoding import json_bytes
from burnish.serve.http.wire.errors import ApiError


class Connection(H11Protocol):
    """`config.body_timeout` is the time for the headers of a request."""

    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        idle = self.conn.their_state is h11.IDLE
        if idle and self.conn.trailing_data[0]:  # a part of the headers of a request
            self._wait()
        elif not idle:
            self._stop_waiting()

    def send_400_response(self, msg: str) -> None:
        """What the protocol sends for a request that is not HTTP, or whose headers are too large."""
        self._refuse(ApiError(400, "the request is not valid HTTP, or its headers are too large", code="invalid_http"))

    def _wait(self) -> None:
        if self._waiting is None:
            self._waiting = self.loop.call_later(getattr(self.config, "body_timeout", 20.0), self._too_slow)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _too_slow(self) -> None:
        self._waiting = None
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self._refuse(ApiError(408, "the headers did not arrive in time", code="request_timeout"))

    def _refuse(self, error: ApiError) -> None:
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.close()
            return
        body = json_bytes(error.body)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        headers.append((b"connection", b"close"))
        for event in (
            h11.Response(status_code=error.status, headers=headers, reason=b""),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
