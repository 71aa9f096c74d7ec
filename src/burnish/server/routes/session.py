"""Log in with a one-time token, see who is logged in, log out."""

from typing import Annotated, Literal

from fastapi import Path, Request, Response
from pydantic import BaseModel, Field

from burnish.core.errors import AskError
from burnish.server.routing import Caller, Door, Router
from burnish.server.security.access import csrf_of
from burnish.studio.serving.logins import SESSION_SECONDS

router = Router(tags=["session"], work="quick")


class Login(BaseModel):
    """The one-time token, which `burnish ui` prints with the address."""

    token: str = Field(max_length=200, examples=["burnish-login-…"])


class Session(BaseModel):
    """Who asks. A browser sends `csrf` as the header `X-CSRF-Token` with each request that changes something."""

    name: str
    scope: Literal["read", "run", "admin"]
    csrf: str | None


@router.post("/session", scope="open")
def log_in(login: Login, request: Request, response: Response, door: Door) -> Session:
    """Change a one-time token for a session: a cookie that scripts of the page cannot read."""
    secret, is_encrypted = door.log_in(login.token, request), request.url.scheme == "https"
    response.set_cookie(
        door.cookie, secret, max_age=SESSION_SECONDS, httponly=True, samesite="strict", secure=is_encrypted
    )
    return Session(name="browser", scope="admin", csrf=csrf_of(secret))


@router.get("/session", scope="read")
def show_session(caller: Caller) -> Session:
    """Who asks, and the CSRF token of a browser."""
    return Session(name=caller.name, scope=caller.scope, csrf=caller.csrf)


@router.delete("/session", scope="read", status_code=204)
def log_out(caller: Caller, response: Response, door: Door) -> None:
    """End the session of this browser."""
    if caller.csrf is None:
        raise AskError("ask.nothing-to-do", "a token has no session", f"burnish tokens remove {caller.name}")
    door.log_out(caller)
    response.delete_cookie(door.cookie, httponly=True, samesite="strict")


class OpenSession(BaseModel):
    """A browser that is logged in. `is_this` says that it is the one that asks."""

    id: str
    name: str
    made: str
    expires: str
    is_this: bool


@router.get("/sessions", scope="admin")
def list_sessions(caller: Caller, door: Door) -> list[OpenSession]:
    """The browsers that are logged in, the newest first."""
    return [
        OpenSession(id=one.id, name=one.name, made=one.made, expires=one.expires, is_this=one.sha256 == caller.sha256)
        for one in door.sessions.all()
    ]


@router.delete("/sessions/{id}", scope="admin", status_code=204)
def end_session(id: Annotated[str, Path(max_length=64)], door: Door) -> None:
    """Log a browser out."""
    found = next((one for one in door.sessions.all() if one.id == id), None)
    if found is None:
        raise AskError("ask.bad-reference", "there is no such session", "GET /api/v1/sessions lists them")
    door.sessions.revoke(found.sha256)
