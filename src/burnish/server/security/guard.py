"""The first and last thing that a request meets: hosts and sizes before; errors and headers after."""

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from burnish.core.errors import AskError, BurnishError, MachineError
from burnish.core.faults import as_burnish_error
from burnish.server.metrics import Metrics
from burnish.server.openai_errors import OPENAI, openai_shaped
from burnish.server.problems import problem_of, problem_of_fields, unexpected
from burnish.server.security.audit import Audit
from burnish.server.security.caller import SAFE, Caller
from burnish.server.security.forwarded import apply_forwarded
from burnish.server.security.headers import with_defaults
from burnish.server.security.hosts import Hosts
from burnish.server.settings import Settings
from burnish.server.shared.listed import listed

_log = logging.getLogger(__name__)
_REFUSED = frozenset({401, 403, 429})
_CLIENT_GONE = 499
"""In the log and the metrics: the client went away before the answer."""
_SEND_SECONDS = 60.0
"""In which a client must take each piece of an answer."""


@dataclass
class Visit:
    """One request: `scope["burnish"]` to the routes."""

    most_bytes: int
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    caller: Caller | None = None
    status: int = 0
    received: int = 0
    begun: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.begun

    def allow_body(self, most: int | None) -> None:
        """A route's own limit of the body."""
        if most is not None:
            self.most_bytes = most


_MOST_DISCARDED, _DISCARD_SECONDS = 8 << 20, 2.0
"""Of a body that is refused for its size."""


class Guard:
    """An ASGI middleware around the whole app. `templates` are the whole paths of routes by their `id`: a route knows
    its own without the prefix under which it is included."""

    def __init__(self, app: ASGIApp, settings: Settings, audit: Audit, metrics: Metrics, templates: Mapping[int, str]):
        self._app, self._settings, self._hosts = app, settings, Hosts(settings)
        self._audit, self._metrics, self._templates = audit, metrics, templates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        visit = Visit(self._settings.most_bytes)
        scope["burnish"] = visit
        apply_forwarded(scope, self._settings)
        of_api = scope["path"].startswith(("/api/", "/v1/"))

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                visit.status = message["status"]
                headers = with_defaults(list(message["headers"]), of_api=of_api)
                message = {**message, "headers": [*headers, (b"x-request-id", visit.id.encode())]}
            async with asyncio.timeout(_SEND_SECONDS):  # a client that reads nothing holds no connection for ever
                await send(message)

        try:
            self._hosts.check(_header(scope, b"host"), _header(scope, b"origin"))
            await self._app(scope, self._limited(receive, scope, visit), answer)
        except ClientDisconnect:
            return
        except Exception as error:
            if visit.status:  # the answer has begun, and is broken off
                raise
            await answer_of(error, scope["method"], scope["path"], visit.id)(scope, receive, answer)
        finally:
            self._ended(scope, visit)

    def _ended(self, scope: Scope, visit: Visit) -> None:
        """Count a request, and log it if it may have changed something, or was refused."""
        method, status, route = scope["method"], visit.status or _CLIENT_GONE, scope.get("route")
        template = self._templates.get(id(route)) or getattr(route, "path", "other")
        self._metrics.count(method, template, status, visit.seconds)
        if method not in SAFE and status < 400 and getattr(route, "scope", None) != "read":
            listed.changed()
        if method in SAFE and status not in _REFUSED:
            return
        client = scope.get("client")
        self._audit.write(
            who=visit.caller.name if visit.caller else None,
            method=method,
            path=scope["path"],
            status=status,
            address=client[0] if client else None,
            request=visit.id,
        )

    def _limited(self, receive: Receive, scope: Scope, visit: Visit) -> Receive:
        """The body within its size, each piece within its time."""
        declared = _header(scope, b"content-length") or "0"
        is_whole = False

        async def limited() -> Message:
            nonlocal is_whole
            if is_whole:  # what is awaited is the end of the connection
                return await receive()
            if declared.isdigit() and int(declared) > visit.most_bytes:
                await _discard(receive)
                raise _too_large(visit.most_bytes)
            try:
                async with asyncio.timeout(self._settings.body_seconds):
                    message = await receive()
            except TimeoutError:
                fix = "send the body without pauses"
                raise AskError("ask.too-slow", "the body did not arrive in time", fix) from None
            is_whole = not message.get("more_body", False)
            visit.received += len(message.get("body", b""))
            if visit.received > visit.most_bytes:
                await _discard(receive)
                raise _too_large(visit.most_bytes)
            return message

        return limited


async def _discard(receive: Receive) -> None:
    """Read on for a moment: a connection that is closed while its client still sends loses the answer."""
    left = _MOST_DISCARDED
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DISCARD_SECONDS):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if not message.get("more_body", False):
                    return


def answer_of(error: Exception, method: str, path: str, reference: str) -> Response:
    """The answer for an error, under `/v1` in OpenAI's shape.

    An unexpected one is logged, and shown only where it is the machine's, such as a full disk.
    """
    made = _problem_of(error, method, path, reference)
    return openai_shaped(made) if path.startswith(OPENAI) else made


def _problem_of(error: Exception, method: str, path: str, reference: str) -> Response:
    if isinstance(error, HTTPException) and isinstance(error.__cause__, BurnishError):  # raised while reading the body
        error = error.__cause__
    if isinstance(error, BurnishError):
        headers = {"Connection": "close"} if error.code in ("ask.too-large", "ask.too-slow") else None
        return problem_of(error, method, headers)
    if isinstance(error, RequestValidationError):
        return problem_of_fields(error)
    if isinstance(error, HTTPException):
        return _of_framework(error, method, path)
    _log.error("request %s failed: %s %s", reference, method, path, exc_info=error)
    known = as_burnish_error(error, "try again")
    if isinstance(known, MachineError):  # such as a full disk: no fault of the server
        return problem_of(known, method)
    return unexpected(reference)


def _of_framework(error: HTTPException, method: str, path: str) -> Response:
    fix = "/api/v1/openapi.json lists the routes"
    if error.status_code == 404:
        return problem_of(AskError("ask.no-such-route", f"there is no {path[:200]}", fix))
    if error.status_code == 405:
        found = problem_of(
            AskError("ask.no-such-route", f"{path[:200]} does not take {method[:20]}", fix), headers=error.headers
        )
        found.status_code = 405
        return found
    return problem_of(AskError("ask.wrong-value", str(error.detail), "correct the request"), headers=error.headers)


def _too_large(most: int) -> AskError:
    return AskError("ask.too-large", f"the body is larger than {most:,} bytes", "send a smaller one")


def _header(scope: Scope, name: bytes) -> str | None:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), None)
