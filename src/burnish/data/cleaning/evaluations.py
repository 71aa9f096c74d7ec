"""The texts of evaluations, which cleaned rows may not contain."""

from collections.abc import Iterable, Iterator

from burnish.core.context import Input
from burnish.data.dataset import open_rows, split_names
from burnish.data.profile.texts import text_of


def texts_of_evaluations(inputs: Iterable[Input]) -> Iterator[tuple[str, str]]:
    """(name, text) of every row of every split; the name is the input's and the row's source."""
    for value in inputs:
        for split in split_names(value):
            for row in open_rows(value, split):
                yield f"{value.ref} {row['source']}", text_of(row)
