"""Rendered rows: text, tokens and weights, and truncation or splitting of rows that are too long."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from burnish.core.errors import DataError
from burnish.specs.tokens import RenderSpec

COUNTED = {
    "dropped": "rows are longer than max_length and were dropped",
    "samples_dropped": "rows have turns whose separate samples are longer than max_length and were dropped",
    "answers_dropped": "rows have an answer that alone is longer than max_length and were dropped",
    "truncated": "rows are longer than max_length and were truncated on the left",
    "split": "rows are longer than max_length and were split",
    "unlearned": "rows have no learned token and are excluded from training",
    "pieces_unlearned": "pieces of split rows have no learned token and are excluded",
    "straddling": "tokens cross the border of a turn and are not learned",
    "thinking_left_out": "turns have reasoning that the chat template omits",
    "content_left_out": "messages have text that the chat template omits, such as text next to a tool call",
    "calls_left_out": "tool calls have a name or arguments that the chat template omits",
    "tools_left_out": "rows have tools with descriptions or parameters that the chat template omits",
    "names_left_out": "messages have a name that the chat template omits",
    "call_ids_left_out": "tool calls or results have an id that the chat template omits",
    "rewritten": "turns are rendered differently when more turns follow: learned from separate samples",
    "rewritten_masked": "turns are rendered differently when more turns follow: not learned",
    "rewritten_as_shown": "turns are learned in a form that differs from inference (rewritten_turns: as_shown)",
    "thinking_on": "turns need enable_thinking: true at inference, which is not the chat template's default",
    "thinking_off": "turns need enable_thinking: false at inference, which is not the chat template's default",
    "unprompted": "turns start differently from every generation prompt of the chat template",
    "overruled": "rows have a turn weight that train_on overrides",
}
"""Counters reported to the user: name → sentence after the number."""
COUNTED_BY_ROW = tuple(name for name, sentence in COUNTED.items() if sentence.startswith("rows "))
"""Counters of rows; the others count turns, messages or pieces."""


@dataclass(frozen=True)
class Rendered:
    """`ids` int32 [T] and `weights` float32 [T]: the weight of predicting each token from the previous ones.

    0 means not learned; the first weight is always 0.
    """

    text: str
    ids: NDArray[np.int32]
    weights: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def learned(self) -> int:
        """The number of learned tokens."""
        return int(np.count_nonzero(self.weights))


@dataclass(frozen=True)
class Encoded:
    """A tokenised text: `ids` [T], and the characters [start, end) of each token as `offsets` int64 [T, 2]."""

    text: str
    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]


def token_weights(encoded: Encoded, spans: list[tuple[int, int, float]]) -> tuple[NDArray[np.float32], int]:
    """Map weights of character spans to tokens: weights float32 [T], and the number of tokens that cross a border.

    A token is learned if all of its characters are in one span. A token that crosses a border is not learned: its
    first characters are in the prompt, or its last ones in another turn.
    """
    starts, ends = encoded.offsets[:, 0], encoded.offsets[:, 1]
    weights = np.zeros(len(encoded.ids), np.float32)
    straddling = 0
    for start, end, weight in spans:
        inside = (starts >= start) & (ends <= end) & (starts < end)
        touching = (starts < end) & (ends > start)
        straddling += int(np.count_nonzero(touching & ~inside))
        weights[inside] = weight
    weights[:1] = 0.0
    return weights, straddling


def truncate_left(encoded: Encoded, weights: NDArray[np.float32], length: int, keeps_first: bool) -> Rendered:
    """The last `length` tokens; with `keeps_first`, the first (a BOS token) and the last `length - 1` tokens."""
    return _part(encoded, weights, len(encoded.ids) - length + keeps_first, len(encoded.ids), keeps_first)


def fit_answers(
    answers: Sequence[tuple[Encoded, NDArray[np.float32]]], spec: RenderSpec, bos: object, counts: Counter[str]
) -> list[Rendered]:
    """Answers to one prompt, cut by the longest; empty if they are dropped. Errors: DataError `data.too-long`."""
    if not all(weights.any() for _, weights in answers):
        counts["unlearned"] += 1
        return []
    longest = max((encoded for encoded, _ in answers), key=lambda encoded: len(encoded.ids))
    if len(longest.ids) <= spec.max_length:
        return [Rendered(encoded.text, encoded.ids, weights) for encoded, weights in answers]
    match spec.over_length:
        case "drop":
            counts["dropped"] += 1
            return []
        case "truncate_left":
            found = cut_prompt(answers, spec.max_length, bool(longest.ids[0] == bos))
            counts["truncated" if found else "answers_dropped"] += 1
            return found
        case "raise":
            raise too_long(longest, spec.max_length)
        case "split":
            what = f"the row has an answer of {len(longest.ids):,} tokens with its prompt, and cannot be split"
            fix = "raise render.max_length, or set render.over_length to drop or truncate_left"
            raise DataError("data.too-long", what, fix)


def too_long(encoded: Encoded, longest: int) -> DataError:
    """The error of a row with more tokens than `longest`."""
    return DataError(
        "data.too-long",
        f"the row has {len(encoded.ids):,} tokens, but max_length is {longest:,}",
        "raise render.max_length, or set render.over_length to drop, truncate_left or split",
    )


def count_rows(counts: Counter[str], before: Counter[str]) -> None:
    """Count a row once that several answers have counted since `before`."""
    for name in COUNTED_BY_ROW:
        counts[name] = min(counts[name], before[name] + 1)


def cut_prompt(
    answers: Sequence[tuple[Encoded, NDArray[np.float32]]], length: int, keeps_first: bool
) -> list[Rendered]:
    """Answers to one prompt, all without the same tokens on its left, so that the longest has `length`.

    Empty if no token of the prompt would be left.
    """
    extra = max(len(encoded.ids) for encoded, _ in answers) - length
    if extra >= _shared(answers):
        return []
    return [_part(one, weights, extra + keeps_first, len(one.ids), keeps_first) for one, weights in answers]


def _shared(answers: Sequence[tuple[Encoded, NDArray[np.float32]]]) -> int:
    """The number of tokens before the first learned one that all answers have in common."""
    size = min(int(np.argmax(weights > 0)) for _, weights in answers)
    heads = np.stack([encoded.ids[:size] for encoded, _ in answers])
    differs = (heads != heads[0]).any(0)
    return int(np.argmax(differs)) if differs.any() else size


def split_row(
    encoded: Encoded, weights: NDArray[np.float32], length: int, keeps_first: bool
) -> tuple[list[Rendered], int]:
    """Consecutive pieces of at most `length` tokens, and the number of dropped pieces, which have no learned tokens.

    Every learned token is learned in exactly one piece. A piece starts with the BOS token if the row has one
    (`keeps_first`), else with the last token of the previous piece, which is not learned again.
    """
    total = len(encoded.ids)
    pieces, left_out, begin = [], 0, 0
    while begin < total:
        end = min(total, begin + length - (keeps_first and begin > 0))
        piece = _part(encoded, weights, begin, end, keeps_first and begin > 0)
        if piece.learned:
            pieces.append(piece)
        else:
            left_out += 1
        begin = end if keeps_first or end == total else end - 1
    return pieces, left_out


def _part(encoded: Encoded, weights: NDArray[np.float32], begin: int, end: int, with_first: bool) -> Rendered:
    ids, part = encoded.ids[begin:end], weights[begin:end].copy()
    text = encoded.text[int(encoded.offsets[begin, 0]) : int(encoded.offsets[end - 1, 1])]
    if with_first:
        ids = np.concatenate([encoded.ids[:1], ids])
        part = np.concatenate([np.zeros(1, np.float32), part])
        text = encoded.text[: int(encoded.offsets[0, 1])] + text
    part[0] = 0.0
    return Rendered(text, ids, part)
