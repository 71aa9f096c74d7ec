"""Files as answers. A `Range` that cannot be is a problem, as every other error, and says how long the file is."""

from starlette.responses import FileResponse
from starlette.types import Receive, Scope, Send

from burnish.core.errors import AskError
from burnish.server.security.guard import answer_of


class _RangeError(AskError):
    def __init__(self, given: str, size: int):
        what = f"'{given[:100]}' names no bytes of a file of {size:,}"
        super().__init__("ask.no-such-range", what, f"ask for bytes of 0 to {size - 1}, or leave Range out")
        self.size = size


class SentFile(FileResponse):
    """A file, or with `Range` parts of it."""

    @classmethod
    def _parse_range_header(cls, http_range: str, file_size: int) -> list[tuple[int, int]]:
        try:
            return super()._parse_range_header(http_range, file_size)
        except Exception:  # of starlette, which answers them with plain text
            raise _RangeError(http_range, file_size) from None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except _RangeError as error:
            answer = answer_of(error, scope["method"], scope["path"], scope["burnish"].id)
            answer.headers["Content-Range"] = f"bytes */{error.size}"
            await answer(scope, receive, send)
