"""Which of a row's choices is the right one: by its label, its text, its letter, or its index from 0.

A column of answers has one of these meanings, which its rows decide together: "1" alone may be a label, a text, or an
index. The meaning that fits the most rows is that of the column; of several, the first in the order above.
"""

import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from burnish.core.errors import AskError

LETTERS = string.ascii_uppercase


@dataclass(frozen=True)
class Choices:
    """The texts of a row's choices, and their labels if the column has some."""

    texts: Sequence[str]
    labels: Sequence[str]
    plain: Sequence[str]
    """The texts without outer spaces, and whole numbers without a fraction."""
    are_texts: bool


def choices_in(given: Any) -> Choices | None:
    """The choices of a list, an object such as {"A": "blue", "B": "red"}, or ARC's {"text": […], "label": […]}; None if
    they are none, or if the labels are not one for each, all different."""
    labels: Any = ()
    if isinstance(given, Mapping):
        inner = given.get("text")
        if isinstance(inner, list):
            labels, given = given.get("label") or (), inner
        else:
            labels, given = list(given), list(given.values())
    if not isinstance(given, list) or not all(isinstance(one, str | int | float) for one in given):
        return None
    if not isinstance(labels, list | tuple) or (labels and len(set(map(_plain, labels))) != len(given)):
        return None
    are_texts = any(isinstance(one, str) for one in given)
    return Choices([str(one) for one in given], [*map(_plain, labels)], [*map(_plain, given)], are_texts)


def right_of(asked: Sequence[tuple[Any, Choices]], column: str) -> list[int | str]:
    """The place of each row's right choice, or why it has none; of (answer, choices) of a column's rows.

    Errors: AskError `ask.wrong-value` if the answers of the column are indices that start at 1.
    """
    found = {name: [read(answer, choices) for answer, choices in asked] for name, read in _READINGS.items()}
    best = max(_READINGS, key=lambda name: sum(place is not None for place in found[name]))  # the first of several
    if best == "an index from 0":
        _refuse_indices_from_1(asked, column)
    return [
        place if place is not None else _why(answer, best, any(one[row] is not None for one in found.values()))
        for row, ((answer, _), place) in enumerate(zip(asked, found[best], strict=True))
    ]


def _why(answer: Any, meaning: str, has_another: bool) -> str:
    if has_another:
        return f"the answer {answer!r} is not {meaning}, as most answers of the column are"
    return f"the answer {answer!r} is none of the choices"


def _refuse_indices_from_1(asked: Sequence[tuple[Any, Choices]], column: str) -> None:
    indices = [(index, len(choices.texts)) for answer, choices in asked if (index := _integer(answer)) is not None]
    if indices and all(1 <= index <= size for index, size in indices) and any(i == size for i, size in indices):
        raise AskError(
            "ask.wrong-value",
            f"the answers in {column} are indices that start at 1: none is 0, and some are the number of choices",
            "indices start at 0: subtract 1, or give the choices labels: {text: […], label: ['1', '2', …]}",
        )


def _plain(value: Any) -> str:
    """A value as text; a whole number has no fraction: a column of integers with nulls is often one of floats."""
    return str(int(value) if isinstance(value, float) and value.is_integer() else value).strip()


def _by_label(answer: Any, choices: Choices) -> int | None:
    text, labels = _plain(answer), list(choices.labels)
    if text not in labels:
        text, labels = text.upper(), [label.upper() for label in labels]
    return labels.index(text) if labels.count(text) == 1 else None


def _by_text(answer: Any, choices: Choices) -> int | None:
    is_number = isinstance(answer, int | float) and not isinstance(answer, bool)
    if is_number and choices.are_texts:  # a number beside texts is an index, also where the texts are digits (MMLU)
        return None
    return choices.plain.index(_plain(answer)) if _plain(answer) in choices.plain else None


def _by_letter(answer: Any, choices: Choices) -> int | None:
    text = answer.strip().upper() if isinstance(answer, str) else ""
    return LETTERS.index(text) if len(text) == 1 and text in LETTERS[: len(choices.texts)] else None


def _by_index(answer: Any, choices: Choices) -> int | None:
    index = _integer(answer)
    return index if index is not None and 0 <= index < len(choices.texts) else None


def _integer(answer: Any) -> int | None:
    text = "" if isinstance(answer, bool) else _plain(answer)
    return int(text) if text.isascii() and text.isdecimal() else None


_READINGS: Mapping[str, Callable[[Any, Choices], int | None]] = {
    "a label": _by_label,
    "a text": _by_text,
    "a letter": _by_letter,
    "an index from 0": _by_index,
}
