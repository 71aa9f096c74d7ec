"""The protocol of a format: a name, the required columns, whether a row fits, and the mapping.

`fits` gives the reason why a raw row looks like this format, or nothing; it must be cheap and must not raise.
`map` takes the columns it knows and gives the content of the canonical row, or raises RowError with the wrong field.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from burnish.data.document import Row
from burnish.data.formats.columns import Columns, Raw

BLANK_QUESTIONS = "user turns with nothing but whitespace, kept"
JUDGED, ANSWERED, WEAK = 0, 1, 2
"""Ranks: compared or labelled answers; plain answers; rows without an answer."""


@dataclass(frozen=True)
class Format:
    """`needs` are the required columns, each with its alternative names. The format with the lowest rank wins."""

    name: str
    needs: tuple[tuple[str, ...], ...]
    fits: Callable[[Raw], str]
    map: Callable[[Columns], dict[str, Any]]
    rank: int = ANSWERED

    def read(self, raw: Raw, source: str, roles: Mapping[str, str] | None = None) -> tuple[Row, tuple[str, ...]]:
        """(the canonical row, its distinct remarks). RowError names the field that is wrong."""
        columns = Columns(raw, roles or {})
        row = columns.row(source, **self.map(columns))
        if any(turn["role"] == "user" and not turn["content"].strip() for turn in row.get("messages", ())):
            columns.remarks.append(BLANK_QUESTIONS)
        return row, tuple(dict.fromkeys(columns.remarks))
