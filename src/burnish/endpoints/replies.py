"""Replies of an endpoint on disk, by the whole request."""

import hashlib
import json
from pathlib import Path
from typing import Any

from burnish.core.files import write_atomically


def key_of(url: str, request: dict[str, Any]) -> str:
    """The sha256 of an address and a request."""
    text = json.dumps([url, request], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class ReplyCache:
    """One file per reply. A file that is damaged, or of another request, is not used, and is replaced."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.damaged = 0

    def get(self, key: str) -> dict[str, Any] | None:
        """The stored reply, or None."""
        path = self._path(key)
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            self.damaged += 1
            return None
        reply = record.get("reply") if isinstance(record, dict) and record.get("key") == key else None
        if not isinstance(reply, dict) or record.get("sha256") != _hash(reply):
            self.damaged += 1
            return None
        return reply

    def has(self, key: str) -> bool:
        """Whether there is a file for the reply; `get` checks it."""
        return self._path(key).is_file()

    def put(self, key: str, reply: dict[str, Any]) -> None:
        """Store a reply."""
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps({"key": key, "sha256": _hash(reply), "reply": reply}, ensure_ascii=True))

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"


def _hash(reply: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(reply, sort_keys=True).encode()).hexdigest()
