"""Who asks: a browser with a session, or a program with a bearer token; and the one-time tokens that log a browser in.

A login token is in the fragment of the address that `burnish ui` prints, so that no log has it. The page changes it
for a session: a cookie that no script reads (HttpOnly) and that no other site sends (SameSite=Strict). Requests that
change something also show the session's CSRF token in a header, which no form of another site can send. Secrets are
kept as hashes, so a copy of the files lets nobody in.
"""

import hashlib
import hmac

from fastapi import Request

from burnish.core.access.tickets import Tickets
from burnish.core.errors import AskError
from burnish.server.security.caller import Caller, Scope
from burnish.server.settings import Settings
from burnish.studio.serving.logins import logins

COOKIE = "burnish-session"
SESSION_SECONDS = 30 * 86_400
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Access:
    """The secrets of one workspace's server."""

    def __init__(self, settings: Settings):
        self.logins = logins(settings.workspace)
        self.sessions = Tickets(settings.state / "access" / "sessions.json")

    def log_in(self, token: str) -> str:
        """The secret of a new session. Errors: AskError `ask.not-logged-in` for a token that is unknown or used."""
        ticket = self.logins.take(token)
        if ticket is None:
            raise AskError(
                "ask.not-logged-in",
                "this login token is unknown, was used, or has expired",
                "print an address with a new one: burnish ui --token",
            )
        return self.sessions.issue(ticket.name, SESSION_SECONDS)

    def log_out(self, caller: Caller) -> None:
        """End the session of a browser."""
        self.sessions.revoke(caller.sha256)

    def authorise(self, request: Request, scope: Scope) -> Caller:
        """Who asks. Errors: AskError `ask.not-logged-in`, `ask.not-allowed`."""
        caller = self._of_cookie(request)
        if caller is None:
            raise AskError("ask.not-logged-in", "nobody is logged in", "open the address that `burnish ui` prints")
        if not caller.may(scope):
            what = f"{caller.name} may {caller.scope}; this needs {scope}"
            raise AskError("ask.not-allowed", what, f"use a token of the scope {scope}")
        return caller

    def _of_cookie(self, request: Request) -> Caller | None:
        secret = request.cookies.get(COOKIE)
        ticket = self.sessions.find(secret) if secret else None
        if secret is None or ticket is None:
            return None
        csrf = csrf_of(secret)
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise AskError("ask.not-allowed", "a page of another site sent this request", "use burnish's own page")
        if request.method not in _SAFE and not _same(request.headers.get("x-csrf-token", ""), csrf):
            fix = "send the header X-CSRF-Token, as GET /api/v1/session gives it; reloading the page does that"
            raise AskError("ask.not-allowed", "the CSRF token is missing or not of this session", fix)
        return Caller(ticket.name, "admin", ticket.sha256, csrf)


def csrf_of(secret: str) -> str:
    """The CSRF token of a session."""
    return hashlib.sha256(b"csrf " + secret.encode("utf-8", errors="surrogateescape")).hexdigest()


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "surrogateescape"), other.encode("utf-8", "surrogateescape"))


def access_of(request: Request) -> Access:
    """The secrets of the server that a request is for."""
    return request.app.state.access
