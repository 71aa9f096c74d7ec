"""What is cleaned: the files of an input, the layout of its rows, and the columns that hold their text."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

from burnish.core.errors import DataError
from burnish.core.naming import nearest
from burnish.data.formats import COLUMNS
from burnish.data.mapping import SAMPLE, detect
from burnish.data.reader import read
from burnish.data.record import ReadReport, Record

_NO_PROSE = frozenset(
    ("label", "kto_tag", "winner", "winner_model_a", "preferred", "preference", "better_response_id", "tools")
) | {"functions", "toolConfig"}
"""Columns of formats that hold no text of the row: verdicts, and descriptions of tools."""


@dataclass(frozen=True)
class Layout:
    """The columns that hold the text of a row, and what the row is; `reason` says how that is known."""

    columns: tuple[str, ...]
    compared: tuple[str, ...]
    """The columns that duplicates are equal in: those of the text, and of a conversation all that a model sees."""
    kind: Literal["document", "conversation"]
    reason: str


def layout_of(
    path: Path, name: str, format: str, text: Sequence[str], subset: str | None, encoding: str | None
) -> Layout:
    """The layout of a source by its first rows, or as the settings say.

    Errors: DataError `data.missing-column` for a column of `text` that none of them has, `data.unknown-format` where no
    layout fits, `data.empty` without rows.
    """
    items = read(path, ReadReport(encoding=encoding), subset)
    if text:
        head = [item for item in islice(items, SAMPLE) if isinstance(item, Record)]
        there = {column: None for record in head for column in record.raw}
        missing = next((column for column in text if column not in there), None)
        if head and missing is not None:
            what = f"`text` names '{missing}', which none of the first rows of {name} has: {', '.join(there)}"
            raise DataError("data.missing-column", what, f"{nearest(missing, there)} correct the name")
        return Layout(tuple(text), tuple(text), "document", f"text is in {', '.join(text)}, as requested")
    try:
        found, items = detect(items, name, format)
    except DataError as error:
        if error.code != "data.unknown-format":
            raise
        raise DataError(
            error.code, error.reason, f"name the columns of the text: `text: [COLUMN]`; or {error.fix}"
        ) from error
    head = [item for item in islice(items, SAMPLE) if isinstance(item, Record)]
    there = {column: None for record in head for column in record.raw}
    is_document = found.format.name == "text"
    columns = ("text",) if is_document else tuple(c for c in there if c in COLUMNS and c not in _NO_PROSE)
    reason = f"format {found.format.name}, since {found.reason}; text is in {', '.join(columns)}"
    compared = columns if is_document else tuple(sorted(COLUMNS))
    return Layout(columns, compared, "document" if is_document else "conversation", reason)
