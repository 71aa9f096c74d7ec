"""The body of a request: read within a time and a size, as strict JSON, as one of the request models."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from burnish.serve.http.wire.encoding import parse_request
from burnish.serve.http.wire.errors import ApiError, of_validation, wrong

Model = TypeVar("Model", bound=BaseModel)
_DISCARDED = 16
"""Times the largest body that is read of one that is too large: most clients read no answer before they have sent
all of it, and see a broken connection where it is not read."""


class ClientGoneError(Exception):
    """The client closed its connection before the answer."""


async def read_request(request: Request, kind: type[Model], most_bytes: int, seconds: float) -> Model:
    """The body as `kind`. Errors: ApiError 400, 408, 413, 415; ClientGoneError."""
    _check_type(request)
    data = await _read(request, most_bytes, seconds)
    try:
        value = parse_request(data)
    except ValueError as error:
        raise wrong(str(error), code="invalid_json") from None
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise of_validation(error) from None


def _check_type(request: Request) -> None:
    given = request.headers.get("content-type", "")
    kind, _, parameters = given.partition(";")
    if kind.strip().lower() != "application/json":
        shown = f"'{kind.strip()[:80]}'" if kind else "missing"
        raise ApiError(415, f"the content type is {shown}; application/json is expected", code="unsupported_media_type")
    charset = parameters.replace(" ", "").lower().partition("charset=")[2].strip('"')
    if charset not in ("", "utf-8", "utf8"):
        raise ApiError(415, f"the charset is '{charset[:40]}'; utf-8 is expected", code="unsupported_media_type")
    if (coding := request.headers.get("content-encoding", "identity").lower()) != "identity":
        message = f"the content encoding '{coding[:40]}' is not supported: send the body as it is"
        raise ApiError(415, message, code="unsupported_media_type")


async def _read(request: Request, most_bytes: int, seconds: float) -> bytes:
    declared = request.headers.get("content-length", "0")
    length = int(declared) if declared.isdigit() else 0
    is_too_large = length > most_bytes
    waits = "expect" in request.headers  # for a word before it sends the body
    if is_too_large and (waits or length > most_bytes * _DISCARDED):
        raise _too_large(most_bytes)
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            async for part in request.stream():
                size += len(part)
                is_too_large = is_too_large or size > most_bytes
                if size > most_bytes * _DISCARDED:
                    break
                if is_too_large:
                    parts.clear()
                else:
                    parts.append(part)
    except TimeoutError:
        if is_too_large:
            raise _too_large(most_bytes) from None
        message = f"the body did not arrive within {seconds:g} s"
        raise ApiError(408, message, code="request_timeout", headers={"Connection": "close"}) from None
    except ClientDisconnect:
        raise ClientGoneError from None
    if is_too_large:
        raise _too_large(most_bytes)
    return b"".join(parts)


def _too_large(most_bytes: int) -> ApiError:
    message = f"the body is larger than {most_bytes:,} bytes"
    return ApiError(413, message, code="request_too_large", headers={"Connection": "close"})


async def unless_gone(
    receive: Callable[[], Awaitable[Any]], work: Coroutine[Any, Any, None], under_way: set["asyncio.Task[None]"]
) -> None:
    """Do `work`, which is cancelled when the client goes away; it is in `under_way` meanwhile.

    Errors: ClientGoneError; ApiError 503 if another cancelled it; those of `work`.
    """
    async with watched(receive) as gone:
        task = asyncio.create_task(work)
        under_way.add(task)
        try:
            await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise ClientGoneError
            if task.cancelled():
                raise cut_short()
            task.result()
        finally:
            under_way.discard(task)
            if not task.done():
                task.cancel()
                with suppress(BaseException):
                    await task


def cut_short() -> ApiError:
    """503: the server ends before the answer does."""
    return ApiError(503, "the server stopped before the answer was complete", code="draining")


@asynccontextmanager
async def watched(receive: Callable[[], Awaitable[Any]]) -> AsyncIterator["asyncio.Task[None]"]:
    """A task that ends when the client closes its connection. The body must have been read."""

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    task = asyncio.create_task(watch())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(BaseException):
            await task
