"""Secrets that are issued for a time and kept as hashes: one-time logins, and the sessions of browsers."""

import hashlib
import json
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from burnish.core.access.keys import digest_of
from burnish.core.errors import AskError
from burnish.core.files import write_json
from burnish.core.runs.locks import held

_FORMAT = 1
_MOST = 1000
"""Tickets of a file: issuing another one drops those that expire first."""


@dataclass(frozen=True)
class Ticket:
    """What is known of a secret. `sha256` is that of the whole secret, which has 256 random bits."""

    sha256: str
    name: str
    made: str
    expires: str

    @property
    def id(self) -> str:
        """A name of the ticket that gives nothing away."""
        return hashlib.sha256(f"id {self.sha256}".encode()).hexdigest()[:16]

    @property
    def has_expired(self) -> bool:
        return datetime.fromisoformat(self.expires) <= datetime.now(UTC)


class Tickets:
    """A file of tickets, which several processes read and change; only its owner can read it.

    Errors: AskError `ask.wrong-value` for a damaged file; RunError `run.busy` if another process holds it for long.
    """

    def __init__(self, path: Path, prefix: str = ""):
        self._path, self._prefix = path, prefix
        self._stamp: tuple[int, int, int] | None = None
        self._known: dict[str, Ticket] = {}

    def issue(self, name: str, seconds: float) -> str:
        """A new secret, which is kept nowhere."""
        secret = self._prefix + secrets.token_urlsafe(32)
        now = datetime.now(UTC)
        expires = (now + timedelta(seconds=seconds)).isoformat(timespec="seconds")
        ticket = Ticket(digest_of(secret), name, now.isoformat(timespec="seconds"), expires)
        with self._changing() as known:
            known[ticket.sha256] = ticket
        return secret

    def find(self, secret: str) -> Ticket | None:
        """The ticket of a secret, unless it has expired or was revoked by any process."""
        self._look()
        found = self._known.get(digest_of(secret))
        return None if found is None or found.has_expired else found

    def take(self, secret: str) -> Ticket | None:
        """The ticket of a secret, which ends with it: of two callers at the same moment one gets it."""
        if self.find(secret) is None:
            return None
        with self._changing() as known:
            found = known.pop(digest_of(secret), None)
        return None if found is None or found.has_expired else found

    def all(self) -> list[Ticket]:
        """Those that have not expired, the newest first."""
        self._look()
        return sorted((t for t in self._known.values() if not t.has_expired), key=lambda t: t.made, reverse=True)

    def revoke(self, sha256: str) -> bool:
        """End a ticket; whether there was one."""
        with self._changing() as known:
            return known.pop(sha256, None) is not None

    @contextmanager
    def _changing(self) -> Generator[dict[str, Ticket]]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with held(self._path.with_name(f".{self._path.name}.lock"), f"changing {self._path}"):
            self._stamp = None
            self._look()
            known = {sha256: ticket for sha256, ticket in self._known.items() if not ticket.has_expired}
            yield known
            kept = sorted(known.values(), key=lambda ticket: ticket.expires)[-_MOST:]
            write_json(self._path, {"format": _FORMAT, "tickets": [asdict(ticket) for ticket in kept]}, mode=0o600)
            self._stamp = None

    def _look(self) -> None:
        """Read the file, if it is another one than before."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            self._stamp, self._known = None, {}
            return
        stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
        if stamp != self._stamp:
            self._known, self._stamp = self._read(), stamp

    def _read(self) -> dict[str, Ticket]:
        try:
            value: Any = json.loads(self._path.read_text(encoding="utf-8"))
            if value["format"] != _FORMAT:
                raise ValueError(f"its format is not {_FORMAT}")
            tickets = [Ticket(**entry) for entry in cast(list[dict[str, Any]], value["tickets"])]
            if any(datetime.fromisoformat(ticket.expires).tzinfo is None for ticket in tickets):
                raise ValueError("a time without an offset")
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise AskError(
                "ask.wrong-value",
                f"{self._path} is damaged: {error}",
                "remove it: whoever is logged in must log in again, with `burnish ui --token`",
            ) from error
        return {ticket.sha256: ticket for ticket in tickets}
