"""Server-sent events: pieces of bytes as they come, a comment where none come, and an end when the server stops."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

import orjson
from fastapi import Request
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.responses import StreamingResponse

from burnish.core.errors import AskError

POLL_SECONDS = 0.1
KEEPALIVE_SECONDS = 15.0
MOST_STREAMS = 256
"""Open at the same time: each looks at files ten times a second."""
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
RETRY = b"retry: 1000\n\n"
"""A browser that lost its connection comes back after a second."""


class Streams:
    """The open streams of a server."""

    def __init__(self) -> None:
        self.open = 0
        self.is_stopping = False

    def response(self, pieces: AsyncGenerator[bytes]) -> StreamingResponse:
        """The answer that sends pieces as they come; an empty one means that there is nothing now."""
        if self.open >= MOST_STREAMS:
            raise AskError("ask.too-often", f"{self.open} streams are open", "close some pages, and try again")
        return StreamingResponse(self._written(pieces), media_type="text/event-stream", headers=_HEADERS)

    async def _written(self, pieces: AsyncGenerator[bytes]) -> AsyncIterator[bytes]:
        self.open += 1
        try:
            sent = time.monotonic()
            yield RETRY
            async with aclosing(pieces):
                async for piece in pieces:
                    if self.is_stopping:  # the client comes back with the last id that it got
                        return
                    if piece:
                        sent = time.monotonic()
                        yield piece
                    elif time.monotonic() - sent >= KEEPALIVE_SECONDS:
                        sent = time.monotonic()
                        yield KEEPALIVE_COMMENT
                    else:
                        await asyncio.sleep(POLL_SECONDS)
        finally:
            self.open -= 1


def streams_of(request: Request) -> Streams:
    """The streams of the server that a request is for."""
    return request.app.state.streams


def event(data: Any, *, name: str | None = None, id: str | None = None) -> bytes:
    """One event whose data are JSON."""
    return format_sse_event(data_str=orjson.dumps(data).decode(), event=name, id=id)


def event_of_line(start: bytes, line: bytes, id: str) -> bytes:
    """One event whose data are `{START: line}`; the line is JSON, and is not parsed again."""
    return format_sse_event(data_str=(b"{" + start + line + b"}").decode("utf-8", errors="replace"), id=id)
