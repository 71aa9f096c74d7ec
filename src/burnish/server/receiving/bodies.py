"""The body of a request as an upload: raw, or the file of a multipart form."""

from collections.abc import Callable, Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from burnish.core.errors import AskError
from burnish.server.receiving.multipart import FileBegins, FormParts
from burnish.studio.datasets import Upload

_WRITTEN_AT_ONCE = 1 << 20


def stated_length(request: Request) -> int | None:
    """The length that the sender states, if it states one."""
    value = request.headers.get("content-length", "")
    return int(value) if value.isdigit() and len(value) < 20 else None


async def receive_raw(request: Request, upload: Upload) -> dict[str, Any]:
    """Write the body of a request to an upload; returns its record. Errors: those of `Upload`."""
    async with _Writing(upload) as writing:
        async for chunk in request.stream():
            await writing.add(chunk)
        return await writing.finish()


async def receive_form(
    request: Request,
    open_upload: Callable[[str], Upload],
    fields: tuple[str, ...] = (),
    check: Callable[[str, Mapping[str, str]], None] = lambda name, fields: None,
) -> dict[str, Any]:
    """Write the field `file` of a multipart form to the upload that `open_upload` makes of its file name; returns its
    record. `check` gets the name and the other `fields`, before the upload is finished: its errors leave nothing.

    Errors: AskError `ask.wrong-value` for a form that is broken, has an unknown field, or several files;
    `ask.missing-key` if it has none; those of `Upload`.
    """
    form = FormParts(request.headers.get("content-type", ""), ("file", *fields))
    writing: _Writing | None = None
    name = ""
    try:
        async for chunk in request.stream():
            for part in form.feed(chunk):
                if isinstance(part, FileBegins):
                    name = part.filename
                    writing = await _Writing(open_upload(part.filename)).__aenter__()
                elif writing is not None:
                    await writing.add(part)
        form.end()
        if writing is None:
            raise AskError("ask.missing-key", "the form has no file", "send the file as the field 'file'")
        check(name, form.fields)
        return await writing.finish()
    finally:
        if writing is not None:
            await writing.__aexit__()


class _Writing:
    """Writes to an upload in threads, in larger pieces than those that arrive."""

    def __init__(self, upload: Upload):
        self.upload = upload
        self._held = bytearray()

    async def __aenter__(self) -> "_Writing":
        try:
            await run_in_threadpool(self.upload.__enter__)
        except BaseException:  # the client went away while the file was opened
            self.upload.__exit__(None, None, None)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self.upload.__exit__(None, None, None)

    async def add(self, chunk: bytes) -> None:
        self._held += chunk
        if len(self._held) >= _WRITTEN_AT_ONCE:
            await self._write()

    async def finish(self) -> dict[str, Any]:
        await self._write()
        return await run_in_threadpool(self.upload.finish)

    async def _write(self) -> None:
        held, self._held = bytes(self._held), bytearray()
        await run_in_threadpool(self.upload.write, held)
