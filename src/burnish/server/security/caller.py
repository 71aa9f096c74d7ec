"""Who asks, and how much they may."""

from dataclasses import dataclass
from typing import Literal

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing."""
Scope = Literal["read", "run", "admin"]
RANKS: dict[str, int] = {"read": 1, "run": 2, "admin": 3}
"""Each scope includes those below it."""


@dataclass(frozen=True)
class Caller:
    """A browser that is logged in, or a program with a bearer token."""

    name: str
    scope: Scope
    sha256: str
    """Of the secret it showed."""
    csrf: str | None = None
    """Of a browser: what its requests that change something must show besides."""

    def may(self, scope: Scope) -> bool:
        return RANKS[self.scope] >= RANKS[scope]
