"""Server-sent events: pieces of bytes as they come, a comment where none come, and an end when the server stops."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import aclosing
from typing import Any, TypeVar

import orjson
from fastapi import Request
from fastapi.sse import format_sse_event
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse

from burnish.core.errors import AskError

POLL_SECONDS = 0.1
KEEPALIVE_SECONDS = 15.0
MOST_STREAMS = 256
"""Open at the same time: each looks at files ten times a second."""
_LOOK_SECONDS = 1.0
"""At most between two looks whether the server stops, or the client was told nothing for long."""
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
KEEPALIVE = b": ping\n"
"""A comment alone: the blank line of fastapi's would end an event, and OpenAI's client takes that for an empty one."""
RETRY = b"retry: 1000\n\n"
"""A browser that lost its connection comes back after a second."""
Found = TypeVar("Found")
Result = TypeVar("Result")


class Streams:
    """The open streams of a server."""

    def __init__(self) -> None:
        self.open = 0
        self.is_stopping = False

    def response(
        self, pieces: AsyncGenerator[bytes], *, first: bytes = RETRY, pause: float = POLL_SECONDS
    ) -> StreamingResponse:
        """The answer that sends `first`, then pieces as they come; an empty one means that there is nothing now.

        The next piece is asked for `pause` seconds after an empty one; 0 is for pieces that wait themselves.
        """
        if self.open >= MOST_STREAMS:
            raise AskError("ask.too-often", f"{self.open} streams are open", "close some pages, and try again")
        return StreamingResponse(self._written(pieces, first, pause), media_type="text/event-stream", headers=_HEADERS)

    async def _written(self, pieces: AsyncGenerator[bytes], first: bytes, pause: float) -> AsyncIterator[bytes]:
        self.open += 1
        try:
            sent = time.monotonic()
            yield first
            async with aclosing(pieces), aclosing(_or_nothing(pieces)) as found:
                async for piece in found:
                    if self.is_stopping:  # the client comes back with the last id that it got
                        return
                    if piece:
                        sent = time.monotonic()
                        yield piece
                    elif time.monotonic() - sent >= KEEPALIVE_SECONDS:
                        sent = time.monotonic()
                        yield KEEPALIVE
                    elif piece is not None:
                        await asyncio.sleep(pause)
        finally:
            self.open -= 1


async def _or_nothing(pieces: AsyncGenerator[bytes]) -> AsyncGenerator[bytes | None]:
    """The pieces, and None each second that one lets wait for itself: such as for a database that is locked."""
    coming: asyncio.Task[bytes | None] | None = None
    try:
        while True:
            coming = coming or asyncio.create_task(_next(pieces))
            done, _ = await asyncio.wait((coming,), timeout=_LOOK_SECONDS)
            if not done:
                yield None
                continue
            piece, coming = coming.result(), None
            if piece is None:
                return
            yield piece
    finally:
        if coming is not None:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)


async def _next(pieces: AsyncGenerator[bytes]) -> bytes | None:
    return await anext(pieces, None)


async def as_they_come(found: AsyncGenerator[Found], made: Callable[[Found], bytes]) -> AsyncGenerator[bytes]:
    """What is made of each thing that is found, at once; an empty piece where none comes within POLL_SECONDS."""
    coming: asyncio.Queue[tuple[Found] | None] = asyncio.Queue()

    async def forward() -> None:
        try:
            async with aclosing(found):
                async for one in found:
                    coming.put_nowait((one,))
        finally:
            coming.put_nowait(None)

    forwarding = asyncio.create_task(forward())  # to wait for `found` itself for a limited time would break it off
    try:
        while True:
            try:
                async with asyncio.timeout(POLL_SECONDS):
                    one = await coming.get()
            except TimeoutError:
                yield b""
                continue
            if one is None:
                await forwarding  # for its error
                return
            yield made(one[0])
    finally:
        forwarding.cancel()


async def unless_gone(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """The result of work for a client, which is cancelled when the client goes away: ClientDisconnect then."""

    async def leave() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    working, leaving = asyncio.create_task(work), asyncio.create_task(leave())
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()


async def streams_of(request: Request) -> Streams:
    """The streams of the server that a request is for."""
    return request.app.state.streams


def event(data: Any, *, name: str | None = None, id: str | None = None) -> bytes:
    """One event whose data are JSON."""
    return format_sse_event(data_str=orjson.dumps(data).decode(), event=name, id=id)


def event_of_line(start: bytes, line: bytes, id: str) -> bytes:
    """One event whose data are `{START: line}`; the line is JSON, and is not parsed again."""
    return format_sse_event(data_str=(b"{" + start + line + b"}").decode("utf-8", errors="replace"), id=id)
