"""A rendered row: its text, its tokens and how much each is learned; and how a row that is too long is fitted."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

COUNTED = {
    "dropped": "rows were longer than max_length and dropped",
    "samples_dropped": "rows lost turns, whose own samples were longer than max_length and dropped",
    "truncated": "rows were longer than max_length and cut on the left",
    "split": "rows were longer than max_length and split",
    "unlearned": "rows have no learned token and are left out of training",
    "pieces_unlearned": "pieces of split rows have no learned token and are left out",
    "straddling": "tokens reach over the border of a turn and are not learned",
    "thinking_left_out": "turns lost their thinking to the chat template",
    "content_left_out": "messages have text that the chat template leaves out, such as text beside a tool call",
    "calls_left_out": "tool calls have a name or arguments that the chat template leaves out",
    "tools_left_out": "rows have tools of which the chat template leaves descriptions or parameters out",
    "names_left_out": "messages have a name that the chat template leaves out",
    "call_ids_left_out": "tool calls or results have an id that the chat template leaves out",
    "rewritten": "turns are rendered otherwise once the conversation goes on: learned from samples of their own",
    "rewritten_masked": "turns are rendered otherwise once the conversation goes on: not learned",
    "rewritten_as_shown": "turns are learned in a shape that is never met in use (rewritten_turns: as_shown)",
    "thinking_on": "turns are met in use only with enable_thinking: true, which is not the chat template's default",
    "thinking_off": "turns are met in use only with enable_thinking: false, which is not the chat template's default",
    "unprompted": "turns begin otherwise than after any generation prompt of the chat template",
    "overruled": "rows give a turn a weight that train_on overrules",
}
"""What a renderer counts because a person should know: name → the sentence that a number goes before."""


@dataclass(frozen=True)
class Rendered:
    """`ids` int32 [T] and `weights` float32 [T]: the weight of predicting that token from those before it.

    0 means not learned; position 0 is always 0, for nothing stands before it.
    """

    text: str
    ids: NDArray[np.int32]
    weights: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def learned(self) -> int:
        """How many tokens are learned."""
        return int(np.count_nonzero(self.weights))


@dataclass(frozen=True)
class Encoded:
    """A text's tokens: `ids` [T], and the characters [start, end) that each stands for as `offsets` int64 [T, 2]."""

    text: str
    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]


def weigh(encoded: Encoded, spans: list[tuple[int, int, float]]) -> tuple[NDArray[np.float32], int]:
    """The weight of each token from the weights of spans of characters, float32 [T], and how many tokens straddle.

    A token is learned when all of its characters lie in one span. One that reaches over a border is not: its first
    characters stand in the prompt already, or its last ones belong to somebody else.
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


def cut_left(encoded: Encoded, weights: NDArray[np.float32], length: int, keeps_first: bool) -> Rendered:
    """The last `length` tokens; with `keeps_first`, the first token (a beginning of text) and the last of the rest."""
    return _part(encoded, weights, len(encoded.ids) - length + keeps_first, len(encoded.ids), keeps_first)


def cut_apart(
    encoded: Encoded, weights: NDArray[np.float32], length: int, keeps_first: bool
) -> tuple[list[Rendered], int]:
    """Consecutive pieces of at most `length` tokens, and how many were left out because they teach nothing.

    Every learned token is learned in exactly one piece. A piece begins with the beginning-of-text token where the
    row has one (`keeps_first`), else with the last token of the piece before, which is not learned again.
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
