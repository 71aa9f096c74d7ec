"""Weights by character, truncation and splitting agree with slow implementations of their definitions, for any row."""

import random

import numpy as np
import pytest

from burnish.tokens.rendering.rendered import Encoded, Rendered, split_row, token_weights, truncate_left


def encoded(sizes: list[int], text: str | None = None) -> Encoded:
    """A text whose tokens have these numbers of characters; their ids are 100, 101, …"""
    bounds = np.cumsum([0, *sizes])
    offsets = np.stack([bounds[:-1], bounds[1:]], axis=1)
    letters = "".join(chr(ord("a") + place % 26) for place in range(int(bounds[-1])))
    return Encoded(text or letters, np.arange(100, 100 + len(sizes), dtype=np.int32), offsets)


def slow_weights(row: Encoded, spans: list[tuple[int, int, float]]) -> tuple[list[float], int]:
    """Character by character: a token is learned if all of its characters are, and crosses if only some are."""
    weights, crossing = [0.0] * len(row.ids), 0
    for token, (first, last) in enumerate(row.offsets.tolist()):
        for start, end, weight in spans:
            own = set(range(first, last))
            inside = own & set(range(start, end))
            if (inside == own) if own else (first in range(start, end)):
                weights[token] = weight
            elif inside:
                crossing += 1
    return [0.0, *weights[1:]], crossing


def test_weights_are_those_of_the_characters():
    chance = random.Random(1)
    crossed = 0
    for _ in range(300):
        row = encoded([chance.choice([0, 1, 1, 2, 3]) for _ in range(chance.randint(1, 12))])
        places = sorted(chance.sample(range(len(row.text) + 2), min(4, len(row.text) + 2)))
        spans = [
            (start, end, chance.choice([0.5, 1.0, 3.0])) for start, end in zip(places[::2], places[1::2], strict=False)
        ]
        if chance.random() < 0.3 and len(places) == 4:
            spans[1] = (spans[0][1], *spans[1][1:])  # one follows the other at once
        weights, crossing = token_weights(row, spans)
        assert (weights.tolist(), crossing) == slow_weights(row, spans), (row, spans)
        assert (weights.dtype, type(crossing)) == (np.float32, int)
        crossed += crossing
    assert crossed > 50


def test_a_row_without_tokens_or_spans_has_no_weights():
    assert token_weights(encoded([]), [(0, 1, 1.0)])[0].tolist() == []
    assert token_weights(encoded([1, 1]), [])[0].tolist() == [0.0, 0.0]


def slow_parts(row: Encoded, weights: list[float], length: int, keeps_first: bool) -> list[tuple]:
    """All pieces of a row: (text, ids, weights)."""
    places = list(range(len(row.ids)))
    if keeps_first:
        groups, rest = [places[:length]], places[length:]
        while rest:
            groups.append([0, *rest[: length - 1]])
            rest = rest[length - 1 :]
    else:
        groups = [
            places[start : start + length] for start in places[:: length - 1] if start == 0 or start + 1 < len(places)
        ]
    parts = []
    for number, group in enumerate(groups):
        after_first = group[1:] if keeps_first and number else group
        text = row.text[int(row.offsets[after_first[0], 0]) : int(row.offsets[after_first[-1], 1])]
        if after_first is not group:
            text = row.text[: int(row.offsets[0, 1])] + text
        parts.append((text, [int(row.ids[i]) for i in group], [0.0, *(weights[i] for i in group[1:])]))
    return parts


def shown(piece: Rendered) -> tuple:
    return piece.text, piece.ids.tolist(), piece.weights.tolist()


@pytest.mark.parametrize("keeps_first", [False, True])
@pytest.mark.parametrize("length", [2, 3, 5, 8])
def test_a_row_is_split_as_defined(length, keeps_first):
    chance = random.Random(length)
    left_out = 0
    for count in range(length + 1, 4 * length + 3):
        row = encoded([chance.choice([1, 1, 2]) for _ in range(count)])
        weights = [0.0, *(chance.choice([0.0, 0.0, 0.5, 2.0]) for _ in range(count - 1))]
        given = np.array(weights, np.float32)
        pieces, missing = split_row(row, given, length, keeps_first)
        parts = slow_parts(row, weights, length, keeps_first)
        assert [shown(piece) for piece in pieces] == [part for part in parts if any(part[2])]
        assert missing == sum(not any(part[2]) for part in parts)
        assert given.tolist() == weights  # the weights of the row stay as they are
        assert all(piece.ids.dtype == np.int32 and piece.weights.dtype == np.float32 for piece in pieces)
        left_out += missing
    assert left_out


@pytest.mark.parametrize("keeps_first", [False, True])
def test_a_row_is_truncated_as_defined(keeps_first):
    row = encoded([1, 2, 1, 3, 1, 1])
    weights = np.array([0.0, 0.5, 0.5, 1.0, 1.0, 2.0], np.float32)
    cut = truncate_left(row, weights, 3, keeps_first)
    if keeps_first:
        assert shown(cut) == ("ahi", [100, 104, 105], [0.0, 1.0, 2.0])
    else:
        assert shown(cut) == ("efghi", [103, 104, 105], [0.0, 1.0, 2.0])
    assert (len(cut), cut.learned) == (3, 2)
    assert weights.tolist() == [0.0, 0.5, 0.5, 1.0, 1.0, 2.0]


def test_text_before_the_first_token_belongs_to_a_kept_one():
    """A tokenizer may leave out characters, such as the blanks before the first token."""
    row = Encoded("  ab", np.array([1, 2], np.int32), np.array([[2, 3], [3, 4]]))
    assert truncate_left(row, np.ones(2, np.float32), 2, True).text == "  ab"
    assert truncate_left(row, np.ones(2, np.float32), 2, False).text == "ab"
