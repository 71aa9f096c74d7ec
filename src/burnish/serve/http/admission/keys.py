"""The keys that a running server accepts: those of its file, read again when it changes, and one of the environment."""

import hmac
import logging
import os
import time
from pathlib import Path

from burnish.core.access.keys import Key, digest_of, read_keys
from burnish.core.errors import AskError, BurnishError
from burnish.core.paths import expanded
from burnish.serve.http.wire.errors import ApiError
from burnish.specs.ship.server import LOOPBACK, ServerSpec

__all__ = ["Key", "KeyRing"]

_log = logging.getLogger(__name__)
_SECONDS = 1.0
"""How often the file is looked at."""


class KeyRing:
    """Errors of `of`: AskError where the file or the variable is missing."""

    def __init__(self, path: Path | None, fixed: Key | None = None):
        self._path, self._fixed = path, fixed
        self._keys: list[Key] = []
        self._stamp: tuple[int, int, int] | None = None
        self._looked = 0.0
        self.fault = ""
        """Why the file could not be read again; the keys read before stay, so that nobody is locked out by a typing
        error, and nobody let in. A key that was removed stays valid as long."""
        if path is not None:
            self._keys, self._stamp = _read(path)

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
        return self._path is None and self._fixed is None

    def find(self, header: str | None) -> Key | None:
        """The key of an `Authorization` header; None where none is needed. Errors: ApiError 401."""
        if self.is_open:
            return None
        if header is None:
            raise _refused("no API key: send the header 'Authorization: Bearer KEY'")
        scheme, _, given = header.strip().partition(" ")
        if scheme.lower() != "bearer" or not given.strip():
            raise _refused("the header Authorization is not of the form 'Bearer KEY'")
        digest = digest_of(given.strip())
        found: Key | None = None
        self.look()
        for key in [
            *self._keys,
            *([self._fixed] if self._fixed else []),
        ]:  # all of them: the time tells nothing about which one is near
            if hmac.compare_digest(key.sha256, digest):
                found = key
        if found is None:
            raise _refused("incorrect API key")
        if found.has_expired:
            raise _refused(f"the API key '{found.name}' has expired")
        return found

    def look(self) -> str:
        """Read the file again if it has changed, at most once a second; returns `fault`."""
        now = time.monotonic()
        if self._path is not None and now - self._looked >= _SECONDS:
            self._looked = now
            try:
                if _stamp(self._path) != self._stamp:
                    self._keys, self._stamp = _read(self._path)
                fault = ""
            except (OSError, BurnishError) as error:
                fault = (
                    f"keys_file: the keys read before stay valid, also removed ones: {getattr(error, 'what', error)}"
                )
            if fault and fault != self.fault:
                _log.warning(fault)
            self.fault = fault
        return self.fault


def _read(path: Path) -> tuple[list[Key], tuple[int, int, int]]:
    """The keys and the stamp from before they were read: a change in between is seen next time."""
    try:
        stamp = _stamp(path)
    except OSError:
        stamp = (0, 0, 0)  # reading reports it
    return read_keys(path), stamp


def _stamp(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size, found.st_ino


def _refused(message: str) -> ApiError:
    return ApiError(401, message, code="invalid_api_key", headers={"WWW-Authenticate": "Bearer"})
