"""Log in with a one-time token, see who is logged in, log out."""

from typing import Literal

from fastapi import Request, Response
from pydantic import BaseModel, Field

from burnish.server.routing import Caller, Door, Router
from burnish.server.security.access import COOKIE, SESSION_SECONDS, csrf_of

router = Router(tags=["session"])


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
    secret = door.log_in(login.token)
    response.set_cookie(
        COOKIE, secret, max_age=SESSION_SECONDS, httponly=True, samesite="strict", secure=request.url.scheme == "https"
    )
    return Session(name="browser", scope="admin", csrf=csrf_of(secret))


@router.get("/session", scope="read")
def show_session(caller: Caller) -> Session:
    """Who asks, and the CSRF token of a browser."""
    return Session(name=caller.name, scope=caller.scope, csrf=caller.csrf)


@router.delete("/session", scope="read", status_code=204)
def log_out(caller: Caller, response: Response, door: Door) -> None:
    """End the session of this browser."""
    door.log_out(caller)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
