"""One connection of a server: headers must arrive in time, and what is not HTTP gets an answer in its own shape.

uvicorn and h11 are imported when a server starts.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from uvicorn.protocols.http.h11_impl import H11Protocol

Fault = Literal["invalid", "too-slow"]
Refuse = Callable[[Fault], tuple[int, str, bytes]]
"""The status, content type and body for a request that is not HTTP (or has too large headers), or too slow."""


def connection_type(refuse: Refuse, seconds: float) -> "type[H11Protocol]":
    """The class of connections for uvicorn's `http`. The headers of a request must arrive within `seconds`."""
    import h11
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Connection(H11Protocol):
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
            self._refuse("invalid")

        def _wait(self) -> None:
            if self._waiting is None:
                self._waiting = self.loop.call_later(seconds, self._too_slow)

        def _stop_waiting(self) -> None:
            if self._waiting is not None:
                self._waiting.cancel()
                self._waiting = None

        def _too_slow(self) -> None:
            self._waiting = None
            if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
                self._refuse("too-slow")

        def _refuse(self, fault: Fault) -> None:
            if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
                self.transport.close()
                return
            status, kind, body = refuse(fault)
            headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
            headers.append((b"connection", b"close"))
            for event in (
                h11.Response(status_code=status, headers=headers, reason=b""),
                h11.Data(data=body),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
            self.transport.close()

    return Connection
