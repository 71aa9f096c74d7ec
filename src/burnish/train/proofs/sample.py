"""The few rows of the user on which a training is checked: the shortest, the longest, the one with most turns.

Rows that the training samples itself get other stored numbers, with which every part of their objective acts.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from burnish.tokens.tokenised import Indices, TokenisedRows
from burnish.train.objectives.surrogate import ADVANTAGE, ENGINE, OLD, REFERENCE

_SEARCHED = 4096
"""Visited rows that are looked at."""
_WORK, _WORK_ELSEWHERE = {"cpu": 6e10}, 2e13
"""Parameters times tokens of a sample, by kind of device."""
_LEAST_TOKENS, _MOST_TOKENS = 48, 768

_CLEAR = 0.3
"""Distance of a log-ratio from a bound: more than rounding changes."""


@dataclass(frozen=True)
class Sample:
    """Rows of a split, with all their values."""

    rows: TokenisedRows
    note: str
    """Which rows they are."""
    is_cut: bool = False
    """True if sequences are shorter than those that the values of their row were computed on."""


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
    return Sample(_taken(rows, chosen, each), f"1 row of {total} tokens, cut to {each * rows.width}", is_cut=True)


def _turns(rows: TokenisedRows, row: int) -> int:
    """The number of runs of learned tokens."""
    learned = rows.weights[rows.span(row)] > 0
    return int(np.count_nonzero(learned[1:] & ~learned[:-1]))


def _taken(rows: TokenisedRows, chosen: list[int], limit: int | None = None) -> TokenisedRows:
    """These rows; with a limit, of each sequence only so many tokens around its first learned one."""
    groups = []
    places = list[Indices]()
    for row in chosen:
        spans, start = rows.spans(row), 0
        if limit is not None:
            first = [int(np.argmax(rows.weights[span] > 0)) for span in spans if rows.weights[span].any()]
            start = max(0, min(first, default=0) - limit // 2)
        cut = [np.arange(span.start + min(start, span.stop - span.start - 1), span.stop)[:limit] for span in spans]
        groups.append((rows.row_ids[row], [(rows.ids[at], rows.weights[at]) for at in cut]))
        places += cut
    values = {name: array[chosen] for name, array in rows.values.items()}
    of_tokens = {name: array[np.concatenate(places)] for name, array in rows.token_values.items()}
    return replace(TokenisedRows.of_groups(groups, rows.width, values), token_values=of_tokens)


def worth_checking(rows: TokenisedRows) -> Indices:
    """The rows with learned tokens; only those that learn from their rewards, if there are two."""
    learned = rows.learned_of(np.arange(len(rows))).sum(1) > 0
    advantages = rows.values.get(ADVANTAGE)
    if advantages is not None:
        differ = learned & np.any(advantages.reshape(len(rows), -1) != 0, 1)
        learned = differ if differ.sum() > 1 else learned
    return np.flatnonzero(learned)


def varied(rows: TokenisedRows, log_probs: NDArray[np.float32], spec: Any) -> TokenisedRows:
    """The rows with stored log-probabilities beside `log_probs` [K] of now, so that every part of the objective acts.

    Before the first step all of them are equal: ratios are 1, a divergence is 0, and nothing is clipped. Advantages
    that are all 0 become 1 and -1.
    """
    random, values = np.random.default_rng(0), dict[str, NDArray[np.float64]]()
    learned = rows.learned_tokens(np.arange(len(rows)))
    sequences = np.searchsorted(rows.offsets, learned, side="right") - 1
    high, low = math.log1p(spec.clip_high), math.log1p(-spec.clip_low) if spec.clip_low < 1 else -math.inf
    choices = [
        high + _CLEAR,
        *([low - _CLEAR] if math.isfinite(low) else []),
        *([(high + low) / 2] * (high - low > 0.1)),
    ]
    now = log_probs.astype(np.float64)
    old = now
    if OLD in rows.token_values:
        is_joint = getattr(spec, "importance", "token") == "sequence"
        ratios = (
            random.choice(choices, len(rows.offsets) - 1)[sequences] if is_joint else random.choice(choices, len(now))
        )
        old = now - ratios
        values[OLD] = old
    if ENGINE in rows.token_values:
        bound = math.log(spec.max_engine_ratio) if spec.max_engine_ratio else 0.0
        values[ENGINE] = old - random.choice([bound - _CLEAR, bound + _CLEAR], len(now))
    if REFERENCE in rows.token_values:
        values[REFERENCE] = now - random.uniform(-1.0, 1.0, len(now))
    for name, numbers in values.items():
        array = np.zeros(len(rows.ids), np.float32)
        array[learned] = numbers
        rows = rows.with_token_values(**{name: array})
    advantages = rows.values.get(ADVANTAGE)
    if advantages is not None and not advantages.any():
        signs = np.where(np.arange(advantages.size) % 2, -1.0, 1.0).astype(np.float32)
        rows = rows.with_values(**{ADVANTAGE: signs.reshape(advantages.shape)})
    return rows
