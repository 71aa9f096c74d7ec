"""The log-probability of continuations of contexts, by an engine's teacher-forced log-probabilities.

Continuations of one context that differ in their last token only, such as the letters of a choice, share a row.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from burnish.models.engines.protocol import Engine, IntArray

Pair = tuple[Sequence[int], Sequence[int]]
"""The ids of a context, at least one, and those of its continuation, at least one."""


@dataclass(frozen=True)
class Continuation:
    """What a model says of a continuation."""

    log_prob: float
    """Σ ln p of its tokens, in nats."""
    is_greedy: bool
    """Whether each of its tokens is the most likely one."""


@dataclass
class _Shared:
    """Pairs whose rows differ in the last token only."""

    ids: tuple[int, ...]
    """All but the last token."""
    places: list[tuple[int, int, int]] = field(default_factory=list)
    """(place of the pair, tokens of its continuation, last token)"""


def continuations(engine: Engine, pairs: Sequence[Pair], context: int) -> Iterator[tuple[int, Continuation]]:
    """Yield (place of the pair, its continuation), the longest rows first.

    What does not fit in `context` is cut off at the beginning of the row; the last token needs no place in it.
    """
    shared: dict[tuple[int, ...], _Shared] = {}
    for place, (before, after) in enumerate(pairs):
        *ids, last = [*before, *after][-(context + 1) :]
        key = tuple(ids)
        shared.setdefault(key, _Shared(key)).places.append((place, min(len(after), len(ids)), last))
    groups = sorted(shared.values(), key=lambda group: -len(group.ids))
    rows = [[*group.ids, group.places[0][2]] for group in groups]
    requested = None if all(len(group.places) == 1 for group in groups) else [_requested(group) for group in groups]
    for group, found in zip(groups, engine.log_probs(rows, at=requested), strict=True):
        for number, (place, length, last) in enumerate(group.places):
            final = found.chosen[-1] if requested is None else found.log_probs[-1, number]
            chosen, following = (
                found.chosen[-length:-1] if length > 1 else found.chosen[:0],
                [*group.ids, last][-length:],
            )
            total = float(chosen.astype(np.float64).sum() + final)
            yield place, Continuation(total, found.top[-length:].tolist() == following)


def _requested(group: _Shared) -> IntArray:
    """The tokens whose log-probabilities are needed, [T - 1, k]: only those of the last position differ."""
    following = np.array([*group.ids[1:], group.places[0][2]], dtype=np.int64)
    requested = np.repeat(following[:, None], len(group.places), axis=1)
    requested[-1] = [last for _, _, last in group.places]
    return requested
