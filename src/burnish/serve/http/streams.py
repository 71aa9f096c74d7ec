"""Server-sent events of a stream: chunks, an error in the middle as an event, `[DONE]`."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from burnish.core.errors import BurnishError
from burnish.serve.engines.protocol import EngineError
from burnish.serve.http.admission.visit import Visit
from burnish.serve.http.answers import Step
from burnish.serve.http.shapes import ChatChunks, TextChunks
from burnish.serve.http.state import ServerState
from burnish.serve.http.wire.bodies import ClientGoneError, cut_short, watched
from burnish.serve.http.wire.encoding import DONE, event
from burnish.serve.http.wire.errors import ApiError, of_burnish, of_engine

_log = logging.getLogger(__name__)
_HEADERS = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
_HEADERS += [(b"x-accel-buffering", b"no")]


class EventStream(Response):
    """Answers with the chunks of `steps`. Its status is sent with the first step, so that an error before it has its
    own; `ending` is called when the stream has ended, however it did."""

    def __init__(
        self,
        steps: AsyncGenerator[Step],
        chunks: ChatChunks | TextChunks,
        visit: Visit,
        state: ServerState,
        with_usage: bool,
        held: Any,
    ):
        super().__init__()
        self._steps, self._chunks, self._visit = steps, chunks, visit
        self._state, self._with_usage, self._held = state, with_usage, held
        self._seconds = state.request_timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.create_task(self._write(send))
        self._state.work.add(task)
        try:
            async with watched(receive) as gone:
                await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
                if not task.done():
                    raise ClientGoneError
            task.result()
        finally:
            self._state.work.discard(task)
            if not task.done():
                task.cancel()
                with suppress(BaseException):
                    await task

    async def _write(self, send: Send) -> None:
        with self._held:
            is_started = False
            try:
                async with asyncio.timeout(self._seconds), aclosing(self._steps) as steps:
                    async for step in steps:
                        first = [] if is_started else self._chunks.first()
                        if not is_started:
                            await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
                            is_started = True
                        await self._send(send, [*first, *self._chunks.of(step)])
                if self._with_usage:
                    await self._send(send, [self._chunks.usage(self._visit.completion_tokens)], with_null=False)
                await send({"type": "http.response.body", "body": DONE})
            except (Exception, asyncio.CancelledError) as error:
                if isinstance(error, asyncio.CancelledError) and not self._state.is_cut:
                    raise
                found = as_api_error(error, self._seconds)
                if not is_started:
                    raise found from error
                self._visit.error = found.code or "error"
                await send({"type": "http.response.body", "body": event(found.body), "more_body": False})

    async def _send(self, send: Send, chunks: Sequence[dict[str, Any]], with_null: bool = True) -> None:
        if self._with_usage and with_null:
            chunks = [{**chunk, "usage": None} for chunk in chunks]
        if chunks:
            body = b"".join(map(event, chunks))
            await send({"type": "http.response.body", "body": body, "more_body": True})


def as_api_error(error: BaseException, seconds: float) -> ApiError:
    """An error of an answer, for its client; unexpected ones are logged, and not shown."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, asyncio.CancelledError):
        return cut_short()
    if isinstance(error, EngineError):
        return of_engine(error)
    if isinstance(error, BurnishError):
        return of_burnish(error)
    if isinstance(error, TimeoutError):
        return ApiError(504, f"the answer was not complete within {seconds:g} s", code="timeout")
    _log.error("a request failed", exc_info=error)
    return ApiError(500, "an internal error: the log of the server has its details", code="internal_error")
