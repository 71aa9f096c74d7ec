"""Routers whose routes declare who may ask them: a route without a scope cannot be made."""

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Depends, Request, Response
from fastapi.routing import APIRoute

from burnish.server.security.access import Access, access_of
from burnish.server.security.caller import RANKS, Scope
from burnish.server.security.caller import Caller as _Caller
from burnish.server.settings import Settings
from burnish.server.threads import Work, in_crew

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
ANY_SIZE = 1 << 60
"""Bytes, of routes whose bodies have a limit of their own."""
_SCOPE, _MOST = "x-scope", "x-most-bytes"


class GuardedRoute(APIRoute):
    """A route that lets its handler see only callers of its scope: before the body is read."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any):
        extra: dict[str, Any] = options.get("openapi_extra") or {}
        if extra.get(_SCOPE) not in (*RANKS, "open"):
            raise ValueError(f"the route {path} has no scope: read, run, admin or open")
        super().__init__(path, endpoint, **options)

    @property
    def scope(self) -> Scope | Literal["open"]:
        return (self.openapi_extra or {})[_SCOPE]

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle, scope, most = super().get_route_handler(), self.scope, (self.openapi_extra or {}).get(_MOST)

        async def guarded(request: Request) -> Response:
            request.scope["burnish"].allow_body(most)
            if scope != "open":
                request.scope["burnish"].caller = access_of(request).authorise(request, scope)
            return await handle(request)

        return guarded


class Router(APIRouter):
    """A router of guarded routes. `most_bytes` is the largest body that a route takes, where it is not the server's.

    `work` says in which threads a route runs, or all of the router: without it, a GET is quick, and others are slow.
    A GET with `head` answers HEAD too.
    """

    def __init__(self, *, work: Work | None = None, **options: Any):
        self._work: Work | None = work
        super().__init__(route_class=GuardedRoute, redirect_slashes=False, **options)

    def get(self, path: str, *, scope: Scope | Literal["open"], **options: Any) -> Callable[[Endpoint], Endpoint]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """A route that changes nothing."""
        return self._route("GET", path, scope, **options)

    def post(self, path: str, *, scope: Scope | Literal["open"], **options: Any) -> Callable[[Endpoint], Endpoint]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """A route that starts or makes something."""
        return self._route("POST", path, scope, **options)

    def put(self, path: str, *, scope: Scope, **options: Any) -> Callable[[Endpoint], Endpoint]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """A route that replaces something."""
        return self._route("PUT", path, scope, **options)

    def patch(self, path: str, *, scope: Scope, **options: Any) -> Callable[[Endpoint], Endpoint]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """A route that changes a part of something."""
        return self._route("PATCH", path, scope, **options)

    def delete(self, path: str, *, scope: Scope, **options: Any) -> Callable[[Endpoint], Endpoint]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """A route that removes something."""
        return self._route("DELETE", path, scope, **options)

    def _route(
        self,
        method: str,
        path: str,
        scope: str,
        *,
        most_bytes: int | None = None,
        work: Work | None = None,
        head: bool = False,
        **options: Any,
    ) -> Callable[[Endpoint], Endpoint]:
        extra = {**options.pop("openapi_extra", {}), _SCOPE: scope}
        if most_bytes is not None:
            extra[_MOST] = most_bytes
        extra["security"] = [] if scope == "open" else [{"session": []}, {"token": []}]
        usual: Work = "quick" if method == "GET" else "slow"
        crew = work or self._work or usual
        add = self.api_route(path, methods=[method], openapi_extra=extra, **options)
        unlisted = {**options, "include_in_schema": False}

        def added(endpoint: Endpoint) -> Endpoint:
            add(in_crew(crew, endpoint))
            if head:
                self.api_route(path, methods=["HEAD"], openapi_extra=extra, **unlisted)(in_crew(crew, endpoint))
            return endpoint

        return added


async def settings_of(request: Request) -> Settings:  # a plain function would be called in a thread
    """The settings of the server."""
    return request.app.state.settings


async def _place_of(settings: Annotated[Settings, Depends(settings_of)]) -> Path:
    return settings.workspace


async def _caller_of(request: Request) -> _Caller:
    return request.scope["burnish"].caller


async def _access_of(request: Request) -> Access:
    return access_of(request)


Place = Annotated[Path, Depends(_place_of)]
"""The workspace's folder, which every verb of the studio takes as `workspace`."""
Caller = Annotated[_Caller, Depends(_caller_of)]
"""Who asks."""
ServerSettings = Annotated[Settings, Depends(settings_of)]
Door = Annotated[Access, Depends(_access_of)]
"""Logins, sessions and tokens."""
