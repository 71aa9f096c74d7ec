"""The audit log: who changed what and when, and who was refused. Never contents, queries or secrets."""

import json
import logging
import os
from datetime import UTC, datetime
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

_BYTES, _FILES = 10 << 20, 5


class _PrivateFile(RotatingFileHandler):
    """A file that only its owner reads. What cannot be written, such as on a full disk, is counted in `lost`."""

    lost = 0

    def _open(self) -> TextIOWrapper:
        Path(self.baseFilename).parent.mkdir(exist_ok=True)  # a workspace that was moved away is not made again
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        return TextIOWrapper(os.fdopen(descriptor, "ab", buffering=0), encoding="utf-8", write_through=True)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        self.lost += 1


class Audit:
    """Appends a line of JSON for each request that changes something or is refused; rotated at 10 MB."""

    def __init__(self, path: Path):
        self._file = _PrivateFile(path, maxBytes=_BYTES, backupCount=_FILES, encoding="utf-8", delay=True)

    @property
    def lost(self) -> int:
        """Lines that could not be written."""
        return self._file.lost

    def write(self, *, who: str | None, method: str, path: str, status: int, address: str | None, request: str) -> None:
        """The line of one request."""
        line: dict[str, Any] = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "who": who,
            "method": method[:20],
            "path": path[:300],
            "status": status,
            "address": address,
            "request": request,
        }
        text = json.dumps(line)
        self._file.handle(logging.LogRecord("audit", logging.INFO, "", 0, text, None, None))

    def close(self) -> None:
        """Close the file."""
        self._file.close()
