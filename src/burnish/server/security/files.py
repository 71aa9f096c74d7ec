"""Files as answers: as long as they were when they were asked for, and logs as text without secrets.

A `Range` that cannot be is a problem, as every other error, and says how long the file is.
"""

from collections.abc import AsyncGenerator, Iterator

from starlette.datastructures import Headers
from starlette.responses import FileResponse, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from burnish.core.errors import AskError
from burnish.server.security.guard import answer_of
from burnish.server.threads import crews


class _RangeError(AskError):
    def __init__(self, given: str, size: int):
        what = f"'{given[:100]}' names no bytes of a file of {size:,}"
        super().__init__("ask.no-such-range", what, f"ask for bytes of 0 to {size - 1}, or leave Range out")
        self.size = size


class SentFile(FileResponse):
    """A file, or with `Range` parts of it. A run may write to it: no more is sent than Content-Length says."""

    @classmethod
    def _parse_range_header(cls, http_range: str, file_size: int) -> list[tuple[int, int]]:
        try:
            return super()._parse_range_header(http_range, file_size)
        except Exception:  # of starlette, which answers them with plain text
            raise _RangeError(http_range, file_size) from None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, _bounded(send))
        except _RangeError as error:
            answer = answer_of(error, scope["method"], scope["path"], scope["burnish"].id)
            answer.headers["Content-Range"] = f"bytes */{error.size}"
            await answer(scope, receive, send)


def _bounded(send: Send) -> Send:
    left = 0

    async def bounded(message: Message) -> None:
        nonlocal left
        if message["type"] == "http.response.start":
            left = int(Headers(raw=message["headers"]).get("content-length", "0"))
        elif message["type"] == "http.response.body":
            message = {**message, "body": message.get("body", b"")[:left]}
            left -= len(message["body"])
            if not message["body"] and message.get("more_body"):  # what was added meanwhile
                return
        await send(message)

    return bounded


class SentText(StreamingResponse):
    """A text that is made part by part, in threads of slow work."""

    def __init__(self, parts: Iterator[bytes], headers: dict[str, str]):
        super().__init__(_parts(parts), headers=headers, media_type="text/plain; charset=utf-8")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "HEAD":
            self.body_iterator = _parts(iter(()))
        await super().__call__(scope, receive, send)


async def _parts(parts: Iterator[bytes]) -> AsyncGenerator[bytes]:
    while (part := await crews.run("slow", next, parts, b"")) != b"":
        yield part
