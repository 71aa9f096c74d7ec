"""Four equal rows of one short conversation."""

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def row() -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "Say a"}, {"role": "assistant", "content": "aaa"}]}


@pytest.fixture
def rows(row: dict[str, Any], tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text((json.dumps(row) + "\n") * 4)
    return path
