"""The text of a request to a judge: templates with placeholders."""

import json
from collections.abc import Mapping
from typing import Any

from burnish.data.placeholders import fill, mark_of
from burnish.evals.scoring.columns import value_of


def filled(template: str, values: Mapping[str, str], row: Mapping[str, Any]) -> str:
    """A template with the values of its placeholders, and of {extra.COLUMN} those of the row's columns.

    One pass, so that a placeholder in a value is not replaced. Other braces are kept. {mark} is a word that depends on
    all values, so that none of them can hold it: headings with it cannot be forged.
    Errors: DataError `data.missing-column` if the row lacks a column.
    """
    mark = mark_of(template, values)

    def value(name: str) -> str | None:
        if name == "mark":
            return mark
        if name in values:
            return values[name]
        return as_text(value_of(row, name.removeprefix("extra."))) if name.startswith("extra.") else None

    return fill(template, value)


def as_text(value: Any) -> str:
    """A text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
