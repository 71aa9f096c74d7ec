"""The few rows of the user on which a training is checked: the shortest, the longest, the one with most turns."""

from dataclasses import dataclass

import numpy as np
from torch import nn

from burnish.tokens.tokenised import Indices, TokenisedRows

_SEARCHED = 4096
"""Visited rows that are looked at."""
_WORK, _WORK_ELSEWHERE = {"cpu": 6e10}, 2e13
"""Parameters times tokens of a sample, by kind of device."""
_LEAST_TOKENS, _MOST_TOKENS = 48, 768


@dataclass(frozen=True)
class Sample:
    """Rows of a split, with all their values."""

    rows: TokenisedRows
    note: str
    """Which rows they are."""


def tokens_of_sample(model: nn.Module) -> int:
    """The most tokens of a sample: few for a large model."""
    weights = list(model.parameters())
    parameters, device = sum(weight.numel() for weight in weights), weights[0].device.type
    work = _WORK.get(device, _WORK_ELSEWHERE)
    return int(min(max(work / max(parameters, 1), _LEAST_TOKENS), _MOST_TOKENS))


def rows_of_sample(rows: TokenisedRows, visited: Indices, tokens: int) -> list[int]:
    """Up to four of the visited rows with at most `tokens` tokens, or the shortest one; none if none is visited.

    The same rows and settings give the same sample.
    """
    if not len(visited):
        return []
    visited = visited[:: max(1, len(visited) // _SEARCHED)][:_SEARCHED]
    fitting = visited[rows.lengths[visited] <= tokens // 2]
    if not len(fitting):
        return [int(visited[np.argmin(rows.lengths[visited])])]
    lengths = rows.lengths[fitting]
    turns = np.array([_turns(rows, row) for row in fitting.tolist()])
    wanted = [fitting[np.argmin(lengths)], fitting[np.argmax(lengths)], fitting[np.argmax(turns)], fitting[0]]
    chosen, total = list[int](), 0
    for row in dict.fromkeys(int(row) for row in wanted):
        if total + rows.lengths[row] <= tokens or not chosen:
            chosen.append(row)
            total += int(rows.lengths[row])
    return sorted(chosen)


def sample_of(rows: TokenisedRows, chosen: list[int], tokens: int) -> Sample:
    """These rows; a single one with more than `tokens` tokens is cut."""
    total = int(rows.lengths[chosen].sum())
    if total <= tokens or len(chosen) > 1:
        return Sample(_taken(rows, chosen), f"{len(chosen)} {'row' if len(chosen) == 1 else 'rows'} of {total} tokens")
    each = max(8, tokens // rows.width)
    return Sample(_taken(rows, chosen, each), f"1 row of {total} tokens, cut to {each * rows.width}")


def _turns(rows: TokenisedRows, row: int) -> int:
    """The number of runs of learned tokens."""
    learned = rows.weights[rows.span(row)] > 0
    return int(np.count_nonzero(learned[1:] & ~learned[:-1]))


def _taken(rows: TokenisedRows, chosen: list[int], limit: int | None = None) -> TokenisedRows:
    """These rows; with a limit, of each sequence only so many tokens around its first learned one."""
    groups = []
    for row in chosen:
        spans, starts = rows.spans(row), [0] * rows.width
        if limit is not None:
            first = min(int(np.argmax(rows.weights[span] > 0)) for span in spans)
            starts = [max(0, first - limit // 2)] * rows.width
        cut = [slice(span.start + start, span.stop) for span, start in zip(spans, starts, strict=True)]
        pieces = [(rows.ids[span][:limit], rows.weights[span][:limit]) for span in cut]
        groups.append((rows.row_ids[row], pieces))
    values = {name: array[chosen] for name, array in rows.values.items()}
    return TokenisedRows.of_groups(groups, rows.width, values)
