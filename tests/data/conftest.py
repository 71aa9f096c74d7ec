import json
from collections.abc import Callable
from pathlib import Path

import pytest

from burnish.data.reader import read
from burnish.data.record import Bad, ReadReport, Record


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a file from bytes, text, or rows (as JSON lines, or as one list where the name ends in .json)."""

    def write(name: str, content: bytes | str | list) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, list):
            content = json.dumps(content) if name.endswith(".json") else "".join(json.dumps(r) + "\n" for r in content)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.fixture
def read_all() -> Callable[..., tuple[list[Record], list[Bad], ReadReport]]:
    """Everything a path holds: (records, bad rows, the tally)."""

    def read_all(path: Path, subset: str | None = None) -> tuple[list[Record], list[Bad], ReadReport]:
        reading = ReadReport()
        items = list(read(path, reading, subset))
        records = [item for item in items if isinstance(item, Record)]
        return records, [item for item in items if isinstance(item, Bad)], reading

    return read_all
