"""The keys that a running server accepts: those of its file, read again when it changes, and one of the environment."""

import os
from pathlib import Path

from burnish.core.access.keys import Key, digest_of
from burnish.core.access.ring import KeyFile, matching
from burnish.core.errors import AskError
from burnish.core.paths import expanded
from burnish.serve.http.wire.errors import ApiError
from burnish.specs.ship.server import LOOPBACK, ServerSpec

__all__ = ["Key", "KeyRing"]


class KeyRing:
    """Errors of `of`: AskError where the file or the variable is missing."""

    def __init__(self, path: Path | None, fixed: Key | None = None):
        self._file = None if path is None else KeyFile(path)
        self._fixed = fixed

    @classmethod
    def of(cls, settings: ServerSpec) -> "KeyRing":
        """The keys that the settings name."""
        fixed = None
        if settings.api_key_env is not None:
            if not (value := os.environ.get(settings.api_key_env, "")):
                raise AskError(
                    "ask.missing-key",
                    f"api_key_env: the variable {settings.api_key_env} is not set",
                    "set it to the key, or use keys_file",
                )
            fixed = Key(f"${settings.api_key_env}", digest_of(value), admin=True)
        path = None if settings.keys_file is None else expanded(settings.keys_file)
        ring = cls(path, fixed)
        if ring.is_open and settings.host not in LOOPBACK and not settings.allow_no_key:
            raise AskError(
                "ask.missing-key",
                f"host {settings.host} is open to other machines, and no key is needed",
                "set keys_file (burnish keys add NAME), or allow_no_key: true",
            )
        return ring

    @property
    def is_open(self) -> bool:
        """Whether anybody may ask."""
        return self._file is None and self._fixed is None

    def find(self, header: str | None) -> Key | None:
        """The key of an `Authorization` header; None where none is needed. Errors: ApiError 401."""
        if self.is_open:
            return None
        if header is None:
            raise _refused("no API key: send the header 'Authorization: Bearer KEY'")
        scheme, _, given = header.strip().partition(" ")
        if scheme.lower() != "bearer" or not given.strip():
            raise _refused("the header Authorization is not of the form 'Bearer KEY'")
        known = [*(self._file.keys if self._file else ()), *([self._fixed] if self._fixed else ())]
        found = matching(known, given.strip())
        if found is None:
            raise _refused("incorrect API key")
        if found.has_expired:
            raise _refused(f"the API key '{found.name}' has expired")
        return found

    def look(self) -> str:
        """Why the file could not be read again; empty if it could."""
        return "" if self._file is None else self._file.look()


def _refused(message: str) -> ApiError:
    return ApiError(401, message, code="invalid_api_key", headers={"WWW-Authenticate": "Bearer"})
