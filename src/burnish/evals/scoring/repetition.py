"""Repetition in an answer: the share of n-grams that occurred before, and an end that repeats one piece."""

from collections.abc import Hashable, Sequence

from burnish.evals.scoring.rouge import words

_LOOP_TIMES, _LOOP_BYTES = 3, 32
"""A loop repeats its piece this often, over at least this many bytes: "ha ha ha" is none."""


def repeated(units: Sequence[Hashable], size: int) -> tuple[int, int]:
    """The number of n-grams that occurred before, and of all n-grams (arXiv 2502.03373)."""
    grams = [tuple(units[start : start + size]) for start in range(len(units) - size + 1)]
    return len(grams) - len(set(grams)), len(grams)


def repeated_share(text: str, size: int = 4) -> float:
    """The share of n-grams of words that occurred before in the text; 0 for a text of fewer words."""
    again, grams = repeated(words(text), size)
    return again / grams if grams else 0.0


def ends_in_loop(text: str) -> bool:
    """Whether the text ends with one piece of text, of any length, three times in a row, over at least 32 bytes.

    The last repetition may be cut. Pieces that differ by a counter are no loop.
    """
    data = text.encode("utf-8", "surrogatepass")
    end = data[-_LOOP_BYTES // 2 :]
    for period in range(1, len(data) // _LOOP_TIMES + 1):
        if not data.endswith(end, 0, len(data) - period):
            continue  # most periods, without a copy
        length = max(_LOOP_TIMES * period, _LOOP_BYTES)
        if length <= len(data) and data[-length:-period] == data[period - length :]:
            return True
    return False
