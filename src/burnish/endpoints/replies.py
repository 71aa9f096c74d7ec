"""Replies of an endpoint on disk, by the whole request; and the count of the calls that were made."""

import hashlib
import json
import os
import threading
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

    def put(self, key: str, reply: dict[str, Any]) -> None:
        """Store a reply."""
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps({"key": key, "sha256": _hash(reply), "reply": reply}, ensure_ascii=True))

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"


def _hash(reply: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(reply, sort_keys=True).encode()).hexdigest()


class CallCount:
    """The requests sent and the tokens counted by the endpoint; with a file, those of earlier attempts too.

    A line is written before a request is sent, so that a killed run has not sent more than the file says.
    """

    def __init__(self, path: Path | None = None):
        self._path = path
        self._lock = threading.Lock()
        self.calls = self.tokens = 0
        if path is not None and path.is_file():
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                word, _, number = line.partition(" ")
                self.calls += word == "call"
                self.tokens += int(number) if word == "tokens" and number.isdecimal() else 0

    def book(self, max_calls: int | None, max_tokens: int | None) -> str:
        """Count a request that is about to be sent. Returns the limit that forbids it, in words; "" if none does."""
        with self._lock:
            if max_calls is not None and self.calls >= max_calls:
                return f"max_calls: {max_calls:,}"
            if max_tokens is not None and self.tokens >= max_tokens:
                return f"max_cost_tokens: {max_tokens:,} ({self.tokens:,} are used)"
            self.calls += 1
            self._write("call\n")
            return ""

    def spend(self, tokens: int) -> None:
        """Count the tokens of a reply."""
        with self._lock:
            self.tokens += tokens
            self._write(f"tokens {tokens}\n")

    def _write(self, line: str) -> None:
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)
