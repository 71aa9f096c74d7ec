"""The keys that a running server accepts: those of its file, read again when it changes."""

import hmac
import logging
import time
from pathlib import Path

from burnish.core.access.keys import ADDING, Key, digest_of, read_keys
from burnish.core.errors import BurnishError

_log = logging.getLogger(__name__)
_SECONDS = 1.0
"""How often the file is looked at."""


class KeyFile:
    """The keys of a file. Errors: those of `read_keys` when it is made; an `optional` file that is missing has none."""

    def __init__(self, path: Path, *, optional: bool = False, adding: str = ADDING):
        self._path, self._optional, self._adding = path, optional, adding
        self._keys, self._stamp = self._read()
        self._looked = 0.0
        self.fault = ""
        """Why the file could not be read again; the keys read before stay, so that nobody is locked out by a typing
        error, and nobody let in. A key that was removed stays valid as long."""

    @property
    def keys(self) -> list[Key]:
        """The keys, of at most a second ago."""
        self.look()
        return self._keys

    def find(self, secret: str) -> Key | None:
        """The key with a secret: also one that was just made, and for a second one that was removed."""
        found = matching(self.keys, secret)
        if found is None:
            self.look(at_once=True)
            found = matching(self._keys, secret)
        return found

    def look(self, *, at_once: bool = False) -> str:
        """Read the file again if it has changed, at most once a second unless `at_once`; returns `fault`."""
        now = time.monotonic()
        if at_once or now - self._looked >= _SECONDS:
            self._looked = now
            try:
                if self._stamp_of() != self._stamp:
                    self._keys, self._stamp = self._read()
                fault = ""
            except (OSError, BurnishError) as error:
                why = getattr(error, "what", error)
                fault = f"keys_file: the keys read before stay valid, also removed ones: {why}"
            if fault and fault != self.fault:
                _log.warning(fault)
            self.fault = fault
        return self.fault

    def _read(self) -> tuple[list[Key], tuple[int, int, int]]:
        """The keys and the stamp from before they were read: a change in between is seen next time."""
        try:
            stamp = self._stamp_of()
        except OSError:
            stamp = (0, 0, 0)  # reading reports it
        if self._optional and stamp == (0, 0, 0) and not self._path.exists():
            return [], stamp
        return read_keys(self._path, self._adding), stamp

    def _stamp_of(self) -> tuple[int, int, int]:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            if self._optional:
                return (0, 0, 0)
            raise
        return found.st_mtime_ns, found.st_size, found.st_ino


def matching(keys: list[Key], secret: str) -> Key | None:
    """The key with this secret. All are compared: the time tells nothing about which one is near."""
    digest, found = digest_of(secret), None
    for key in keys:
        if hmac.compare_digest(key.sha256, digest):
            found = key
    return found
