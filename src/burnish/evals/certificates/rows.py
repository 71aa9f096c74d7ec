"""Held-out rows as the ids that a model is compared on."""

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from burnish.core.errors import BurnishError
from burnish.evals.certificates.tokens import rendered_ids
from burnish.evals.measure import as_chat
from burnish.evals.scoring.scorers import Row

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def held_out_rows(
    tokenizer: "PreTrainedTokenizerBase", rows: Iterable[Row], longest: int
) -> tuple[list[list[int]], Counter[str]]:
    """The first `longest` ids of each row, and how many rows are left out, by the reason."""
    found: list[list[int]] = []
    left_out: Counter[str] = Counter()
    for row in rows:
        whole = as_chat(row)
        try:
            ids = rendered_ids(tokenizer, whole)[:longest]
        except BurnishError as error:
            left_out[error.reason] += 1
            continue
        if len(ids) < 2:
            left_out["fewer than two tokens"] += 1
            continue
        found.append(ids)
    return found, left_out
