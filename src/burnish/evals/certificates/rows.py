"""Held-out rows as the ids that a model is compared on."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from burnish.core.errors import BurnishError
from burnish.evals.certificates.tokens import rendered_ids
from burnish.evals.measure import as_chat
from burnish.evals.scoring.scorers import Row

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def held_out_rows(
    tokenizer: "PreTrainedTokenizerBase", rows: Iterable[Row], longest: int
) -> tuple[list[list[int]], dict[str, list[str]]]:
    """The first `longest` ids of each row, and the sources of the rows that are left out, by the reason."""
    found: list[list[int]] = []
    left_out: dict[str, list[str]] = {}
    for row in rows:
        whole = as_chat(row)
        try:
            ids = rendered_ids(tokenizer, whole)[:longest]
        except BurnishError as error:
            left_out.setdefault(error.reason, []).append(row["source"])
            continue
        if len(ids) < 2:
            left_out.setdefault("fewer than two tokens", []).append(row["source"])
            continue
        found.append(ids)
    return found, left_out


def left_out_texts(left_out: Mapping[str, Sequence[str]], ref: str) -> Iterator[str]:
    """A warning for each reason: how many rows, and the first of them."""
    for why, sources in left_out.items():
        rows = f"{len(sources)} rows" if len(sources) > 1 else "1 row"
        yield f"{rows} of {ref} left out of the certificate, the first is {sources[0]}: {why}"
