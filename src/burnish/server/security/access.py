"""Who asks: a browser with a session, or a program with a bearer token; and the one-time tokens that log a browser in.

A login token is in the fragment of the address that `burnish ui` prints, so that no log has it. The page changes it
for a session: a cookie that no script reads (HttpOnly) and that no other site sends (SameSite=Strict). Requests that
change something also show the session's CSRF token in a header, which no form of another site can send. Secrets are
kept as hashes, so a copy of the files lets nobody in.
"""

import hashlib
import hmac
from typing import cast

from fastapi import Request

from burnish.core.access.ring import KeyFile
from burnish.core.errors import AskError, BurnishError, MachineError
from burnish.server.security.caller import SAFE, Caller, Scope
from burnish.server.security.failures import Failures
from burnish.server.settings import Settings
from burnish.studio.serving.logins import ADDING, SESSION_SECONDS, logins, sessions, tokens_file

_LONGEST = 512
"""Characters of a secret that is looked at."""


class Access:
    """The secrets of one workspace's server. Errors: AskError for a file of them that is damaged."""

    def __init__(self, settings: Settings):
        self.cookie = f"burnish-session-{settings.port}"
        """Its name: browsers send a cookie to all ports of a host, and each server has its own."""
        self.logins, self.sessions = logins(settings.workspace), sessions(settings.workspace)
        self._tokens = KeyFile(tokens_file(settings.workspace), optional=True, adding=ADDING)
        self._failures = Failures()
        self._state = settings.state

    @property
    def has_tokens(self) -> bool:
        """Whether a program can ask."""
        return any(not key.has_expired for key in self._tokens.keys)

    def log_in(self, token: str, request: Request) -> str:
        """The secret of a new session, which replaces the one that the browser may have.

        Errors: AskError `ask.not-logged-in` for a token that is unknown, used or expired; `ask.too-often`.
        """
        ticket = self.logins.take(token)
        if ticket is None:
            what = "this login token is unknown, was used, or has expired"
            error = AskError("ask.not-logged-in", what, "print an address with a new one: burnish ui --token")
            raise self._refused(request, error)
        before = self.sessions.find(request.cookies.get(self.cookie, "")[:_LONGEST])
        if before is not None:
            self.sessions.revoke(before.sha256)
        return self.sessions.issue(ticket.name, SESSION_SECONDS)

    def has_session(self, request: Request) -> bool:
        """Whether a browser is logged in; it lets nobody do anything."""
        return self.sessions.find(request.cookies.get(self.cookie, "")[:_LONGEST]) is not None

    def log_out(self, caller: Caller) -> None:
        """End the session of a browser."""
        self.sessions.revoke(caller.sha256)

    def authorise(self, request: Request, scope: Scope) -> Caller:
        """Who asks. Errors: AskError `ask.not-logged-in`, `ask.not-allowed`, `ask.too-often`; MachineError."""
        caller = self._of_token(request) if "authorization" in request.headers else self._of_cookie(request)
        if caller is None:
            fix = "open the address that `burnish ui --token` prints; programs send `Authorization: Bearer TOKEN`"
            raise self._gone() or AskError("ask.not-logged-in", "nobody is logged in, or the session has ended", fix)
        request.scope["burnish"].caller = caller
        if not caller.may(scope):
            what = f"the token '{caller.name}' may {caller.scope}, and this needs {scope}"
            raise AskError("ask.not-allowed", what, f"make one: burnish tokens add NAME --scope {scope}")
        return caller

    def _of_token(self, request: Request) -> Caller:
        scheme, _, given = request.headers["authorization"].strip().partition(" ")
        key = self._tokens.find(given.strip()[:_LONGEST]) if scheme.lower() == "bearer" else None
        if key is None or key.has_expired or key.scope is None:
            what = "the token is unknown" if key is None else f"the token '{key.name}' has expired"
            fix = "make one: burnish tokens add NAME; it is sent as `Authorization: Bearer TOKEN`"
            raise self._refused(request, AskError("ask.not-logged-in", what, fix))
        return Caller(key.name, cast(Scope, key.scope), key.sha256)

    def _refused(self, request: Request, error: AskError) -> BurnishError:
        """The error for a secret that is not known, which counts; nobody's is where the workspace is gone."""
        return self._gone() or self._failures.refuse(_address(request), error)

    def _gone(self) -> MachineError | None:
        if self._state.exists():
            return None
        what = f"the folder of the workspace was moved or removed: {self._state.parent} is gone"
        return MachineError("machine.no-access", what, "put it back, or start `burnish ui` where it is now")

    def _of_cookie(self, request: Request) -> Caller | None:
        secret = request.cookies.get(self.cookie)
        if not secret:
            return None
        ticket = self.sessions.find(secret[:_LONGEST])
        if ticket is None:
            return None
        csrf = csrf_of(secret)
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise AskError("ask.not-allowed", "a page of another site sent this request", "use burnish's own page")
        if request.method not in SAFE and not _same(request.headers.get("x-csrf-token", ""), csrf):
            fix = "send the header X-CSRF-Token, as GET /api/v1/session gives it; reloading the page does that"
            raise AskError("ask.not-allowed", "the CSRF token is missing or not of this session", fix)
        return Caller(ticket.name, "admin", ticket.sha256, csrf)


def csrf_of(secret: str) -> str:
    """The CSRF token of a session."""
    return hashlib.sha256(b"csrf " + secret.encode("utf-8", errors="surrogateescape")).hexdigest()


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "surrogateescape"), other.encode("utf-8", "surrogateescape"))


def _address(request: Request) -> str:
    return request.client.host if request.client else "unknown"


def access_of(request: Request) -> Access:
    """The secrets of the server that a request is for."""
    return request.app.state.access
