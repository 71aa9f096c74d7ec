"""The first and last thing that a request meets: its id, key and limits before; errors, log and counts after."""

import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from burnish.core.errors import BurnishError
from burnish.serve.http.admission.visit import Visit
from burnish.serve.http.state import ServerState
from burnish.serve.http.streams import as_api_error
from burnish.serve.http.wire.bodies import ClientGoneError
from burnish.serve.http.wire.errors import ApiError

OPEN = frozenset({"/health", "/ready"})
"""Routes without a key, for those who watch the server."""
WHILE_DRAINING = OPEN | {"/metrics", "/version"}
_ID = re.compile(r"[\w.-]{1,128}")
_CLOSED_REQUEST = 499
"""In the log: the client went away. Nobody receives it."""


class Gate:
    """An ASGI middleware; the visit is `scope["visit"]` to the routes."""

    def __init__(self, app: ASGIApp, state: ServerState):
        self._app, self._state = app, state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        visit = _visit(scope)
        scope["visit"] = visit

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                visit.status = message["status"]
                message = {**message, "headers": [*message["headers"], (b"x-request-id", visit.id.encode())]}
            await send(message)

        counts = scope["path"] not in WHILE_DRAINING
        self._state.under_way += counts
        try:
            try:
                self._admit(scope, visit)
                await self._app(scope, receive, answer)
            except ClientGoneError:
                visit.gone, visit.status = True, visit.status or _CLOSED_REQUEST
            except Exception as error:
                await self._fail(error, visit, scope, receive, answer)
        finally:
            self._state.under_way -= counts
            self._state.ended(visit, self._route(scope))

    def _admit(self, scope: Scope, visit: Visit) -> None:
        """Errors: ApiError 401, 403, 429, 503."""
        path = scope["path"]
        if path not in OPEN:
            self._state.hosts.check(_header(scope, b"host"))
            visit.key = self._state.keys.find(_header(scope, b"authorization"))
        if self._state.is_draining and path not in WHILE_DRAINING:
            message = "the server is stopping: it finishes the answers under way, and takes no new request"
            headers = {"Retry-After": "5", "Connection": "close"}
            raise ApiError(503, message, code="draining", headers=headers)
        if visit.key is not None and path not in WHILE_DRAINING:
            self._state.rates.ask(visit.key)

    async def _fail(self, error: Exception, visit: Visit, scope: Scope, receive: Receive, answer: Send) -> None:
        found = as_api_error(error, self._state.request_timeout)
        if isinstance(error, BurnishError) and error.code.startswith(("machine.", "run.")):
            found = ApiError(500, error.what, code=error.code)
        visit.error = found.code or visit.error or "error"
        if visit.status == 0:  # else the answer has begun, and is broken off
            await found.response()(scope, receive, answer)

    def _route(self, scope: Scope) -> str:
        """The route's pattern, so that a client cannot make up names of metrics."""
        route = scope.get("route")
        return getattr(route, "path", "other")


def _visit(scope: Scope) -> Visit:
    visit = Visit(method=scope["method"], path=scope["path"][:200])
    if (given := _header(scope, b"x-request-id")) is not None and _ID.fullmatch(given):
        visit.id = given
    return visit


def _header(scope: Scope, name: bytes) -> str | None:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), None)
