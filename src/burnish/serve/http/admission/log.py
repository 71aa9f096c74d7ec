"""The access log: one JSON line for each request, without its contents."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from burnish.serve.http.admission.visit import Visit


class AccessLog:
    """Appends to `path`; each line is written at once, so that a killed server leaves whole lines."""

    def __init__(self, path: Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[str] = path.open("a", encoding="utf-8", buffering=1)

    def write(self, visit: Visit) -> None:
        """The line of a request that has ended."""
        first = visit.seconds_to_first_token
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "id": visit.id,
            "key": visit.key.name if visit.key else None,
            "method": visit.method,
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
        self._file.write(json.dumps(line) + "\n")

    def close(self) -> None:
        self._file.close()
