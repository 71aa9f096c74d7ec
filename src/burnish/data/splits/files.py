"""Keys and rows kept on the disk while a dataset is made, so that memory does not grow with it."""

import json
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from burnish.data.hashset import HashSet

_KEYS_HELD, _CHARACTERS_HELD = 1 << 16, 1 << 20


class KeyFile:
    """64-bit keys on the disk, appended, and read in one pass."""

    def __init__(self, path: Path):
        self._path, self._held = path, array("Q")
        path.write_bytes(b"")

    def write(self, key: int) -> None:
        self._held.append(key or 1)
        if len(self._held) >= _KEYS_HELD:
            self._flush()

    def among(self, wanted: HashSet) -> HashSet:
        """Those of the wanted keys that were written."""
        self._flush()
        found = HashSet()
        with self._path.open("rb") as file:
            while data := file.read(8 * _KEYS_HELD):
                for key in array("Q", data):
                    if key in wanted:
                        found.add(key)
        return found

    def _flush(self) -> None:
        with self._path.open("ab") as file:
            self._held.tofile(file)
        self._held = array("Q")


class RowFile:
    """Values on the disk, one JSON text a line, appended, and read as often as needed."""

    def __init__(self, path: Path):
        self._path, self._held, self._size = path, list[str](), 0
        path.write_bytes(b"")

    def write(self, value: Any) -> None:
        self._held.append(json.dumps(value, separators=(",", ":")) + "\n")
        self._size += len(self._held[-1])
        if self._size > _CHARACTERS_HELD:
            self._flush()

    def read(self) -> Iterator[Any]:
        self._flush()
        with self._path.open(encoding="utf-8") as file:
            for line in file:
                yield json.loads(line)

    def _flush(self) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.writelines(self._held)
        self._held, self._size = [], 0
