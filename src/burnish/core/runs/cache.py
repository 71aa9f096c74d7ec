"""JSON values on disk by key, each with its hash, such as replies of an endpoint and answers of a model."""

import hashlib
import json
import stat
from pathlib import Path
from typing import Any, cast

from burnish.core.files import write_atomically

_MOST_BYTES = 1 << 30


class JsonCache:
    """One file for each key. A file that is damaged, or of another key, is not used: `damaged` counts them.

    `name` is the field of a file that holds the value.
    """

    def __init__(self, folder: Path, name: str):
        self._folder, self._name = folder, name
        self.damaged = 0

    def get(self, key: str) -> Any:
        """The value; None if there is none."""
        path = self._path(key)
        try:
            status = path.stat()
            if not stat.S_ISREG(status.st_mode) or status.st_size > _MOST_BYTES:
                raise ValueError("it was not stored here")
            record: Any = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError):
            self.damaged += 1
            return None
        found = cast(dict[str, Any], record) if isinstance(record, dict) else {}
        value = found.get(self._name)
        if value is None or found.get("key") != key or found.get("sha256") != _hash(value):
            self.damaged += 1
            return None
        return value

    def has(self, key: str) -> bool:
        """Whether there is a file for the key; `get` checks it."""
        return self._path(key).is_file()

    def put(self, key: str, value: Any) -> None:
        """Store a value other than None, in place of what is there."""
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps({"key": key, "sha256": _hash(value), self._name: value}, ensure_ascii=True))

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}.json"


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
