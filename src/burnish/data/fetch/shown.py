"""The first rows as a small table for the terminal and the page."""

import json
from pathlib import Path
from typing import Any

from burnish.core.events import Table

_ROWS, _COLUMNS, _CHARACTERS = 3, 6, 60


def first_rows(sample: Path) -> Table:
    """The first rows of `sample.jsonl`, long values cut; columns beyond the first few are counted in the title."""
    rows: list[dict[str, Any]] = []
    with sample.open(encoding="utf-8") as file:
        for line in file:
            rows.append(json.loads(line)["row"])
            if len(rows) == _ROWS:
                break
    columns = list(dict.fromkeys(name for row in rows for name in row))
    shown, more = columns[:_COLUMNS], len(columns) - _COLUMNS
    title = "First rows" if more <= 0 else f"First rows ({_COLUMNS} of {len(columns)} columns)"
    return Table(title=title, columns=shown, rows=[[_shown(row, name) for name in shown] for row in rows])


def _shown(row: dict[str, Any], name: str) -> str:
    if name not in row:
        return ""
    value = row[name]
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    line = " ".join(text[: 4 * _CHARACTERS].split())
    return line if len(line) <= _CHARACTERS else f"{line[: _CHARACTERS - 1]}…"
