"""The access log: one JSON line for each request, without its contents."""

import json
import logging
from datetime import UTC, datetime
from pathlib import Path

from burnish.serve.http.admission.visit import Visit

_log = logging.getLogger(__name__)


class AccessLog:
    """Appends to `path`; each line is written at once, so that a killed server leaves whole lines.

    A line that cannot be written, such as on a full disk, is counted in `lost`, and ends no request.
    """

    def __init__(self, path: Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)
        self._is_torn = False
        self.lost = 0

    def write(self, visit: Visit) -> None:
        """The line of a request that has ended."""
        first = visit.seconds_to_first_token
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "id": visit.id,
            "key": visit.key.name if visit.key else None,
            "method": visit.method[:20],
            "route": visit.path,
            "model": visit.model or None,
            "status": visit.status,
            "error": visit.error or None,
            "stream": visit.is_stream,
            "prompt_tokens": visit.prompt_tokens,
            "completion_tokens": visit.completion_tokens,
            "seconds": round(visit.seconds, 4),
            "seconds_to_first_token": None if first is None else round(first, 4),
            "client_gone": visit.gone,
        }
        data = b"\n" * self._is_torn + json.dumps(line).encode() + b"\n"
        try:
            written = self._file.write(data)
        except OSError as error:
            written = 0
            if not self.lost:
                _log.warning("access.jsonl: a request is not logged: %s", error)
        if written < len(data):
            self.lost += 1
            self._is_torn = self._is_torn or written > 0
        else:
            self._is_torn = False

    def close(self) -> None:
        self._file.close()
