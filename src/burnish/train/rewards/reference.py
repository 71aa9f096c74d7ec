"""The reference answer of a row."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from burnish.core.errors import DataError
from burnish.data.formats.pairs import PAIRS
from burnish.evals.measure import as_chat
from burnish.evals.scoring.columns import column_of
from burnish.evals.scoring.scorers import answering_turn

Row = Mapping[str, Any]
_MAPPED = frozenset(pair.answers for pair in PAIRS)
"""Columns that a format makes the last assistant turn."""


def reference_of(row: Row, column: str | None = None, write: Callable[[Row], str] | None = None) -> str | None:
    """The reference answer of a row, or None if it has none.

    With `column`, its value: a text as it is, anything else as JSON; null is None. Otherwise, and where a format made
    `column` the last assistant turn, the text of that turn (of a preference the chosen one, of a label row a good
    completion), as `write` writes it: give `Renderer.answer` to get tool calls in the model's own notation. Without
    `write`, a turn without text has no reference.

    Errors: DataError `data.missing-column` if the row has no such column.
    """
    chat = as_chat(dict(row)) if row["kind"] != "text" else {}
    turn = answering_turn(chat)
    if column is not None and not (turn is not None and _was_mapped(row, column)):
        try:
            value = column_of(row, column)
        except DataError as error:
            if turn is None:
                raise
            raise DataError(
                error.code, error.reason, f"the last turn is the reference: remove `answer`; {error.fix}", error.place
            ) from None
        return value if isinstance(value, str) or value is None else json.dumps(value, ensure_ascii=False)
    if turn is None:
        return None
    return write(chat) if write is not None else turn["content"] or None


def _was_mapped(row: Row, column: str) -> bool:
    """Whether a format of a question and an answer may have made this column the last turn of the row."""
    questions = sum(message["role"] == "user" for message in row.get("messages", ()))
    return column in _MAPPED and questions == 1 and column not in (row.get("extra") or {})
