"""ROUGE (Lin 2004): overlap of words, word pairs or the longest common subsequence; no stemming, all scripts."""

import re
from collections import Counter
from collections.abc import Sequence

_SPACELESS = r"\u0e00-\u0eff\u1000-\u109f\u3040-\u30ff\u3400-\u9fff"
_MARKS = r"\u0300-\u036f\u0900-\u0dff"
_WORD = re.compile(rf"[{_SPACELESS}]|(?:(?![{_SPACELESS}])[^\W_]|[{_MARKS}])+")


def words(text: str) -> list[str]:
    """Lower-case words; scripts without spaces are split into characters.

    On ASCII these are the words of the package rouge-score, which drops all other letters.
    """
    return _WORD.findall(text.lower())


def rouge(variant: str, answer: str, reference: str) -> float:
    """F1 of `rouge1`, `rouge2` or `rougeL`, from 0 to 1."""
    found, expected = words(answer), words(reference)
    if variant == "rougeL":
        return _f1(common_subsequence(found, expected), len(found), len(expected))
    size = int(variant.removeprefix("rouge"))
    ours, theirs = _n_grams(found, size), _n_grams(expected, size)
    return _f1((ours & theirs).total(), ours.total(), theirs.total())


def common_subsequence(one: Sequence[str], other: Sequence[str]) -> int:
    """The length of the longest common subsequence."""
    lengths = [0] * (len(other) + 1)
    for word in one:
        diagonal = 0
        for column, candidate in enumerate(other, start=1):
            above = lengths[column]
            lengths[column] = diagonal + 1 if word == candidate else max(above, lengths[column - 1])
            diagonal = above
    return lengths[-1]


def _n_grams(tokens: Sequence[str], size: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(tokens[start : start + size]) for start in range(len(tokens) - size + 1))


def _f1(matches: int, answered: int, expected: int) -> float:
    return 2 * matches / (answered + expected) if matches else 0.0
