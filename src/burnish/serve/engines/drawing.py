"""Draws the next token from the scores of a model, as a request says."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from burnish.serve.engines.protocol import Draw

_LIKELY = 1024
"""Tokens that are sorted first for top_p: nearly always enough."""


class Drawing:
    """The draws of one completion. Penalties count its own tokens, as OpenAI defines them; that of repetition is of the
    tokens of the prompt, too."""

    def __init__(self, draw: Draw, prompt: Sequence[int] = ()):
        self._draw = draw
        self._seen = set(prompt) if draw.repetition_penalty != 1 else set[int]()
        self._random = np.random.default_rng(draw.seed)
        self._counts: Counter[int] = Counter()
        self._bias_ids = np.fromiter(draw.logit_bias, np.int64, len(draw.logit_bias))
        self._bias = np.fromiter(draw.logit_bias.values(), np.float32, len(draw.logit_bias))

    def next(self, scores: NDArray[np.float32], allowed: NDArray[np.bool_] | None = None) -> int:
        """A token by its scores [vocabulary], one of those `allowed` [vocabulary]; -1 if none is."""
        scores = self._adjusted(scores, allowed)
        draw = self._draw
        best = int(scores.argmax())
        if scores[best] == -np.inf:
            return -1
        if draw.temperature == 0 or draw.top_k == 1:
            return best
        if draw.top_k is None and draw.top_p >= 1 and draw.min_p <= 0:
            return self._drawn(np.exp((scores - scores[best]).astype(np.float64) / draw.temperature))
        return self._drawn_from_likely(scores, best)

    def count(self, token: int) -> None:
        """Count a token of the completion."""
        self._counts[token] += 1
        if self._draw.repetition_penalty != 1:
            self._seen.add(token)

    def _adjusted(self, scores: NDArray[np.float32], allowed: NDArray[np.bool_] | None) -> NDArray[np.float32]:
        draw = self._draw
        penalises = bool(self._counts) and (draw.frequency_penalty != 0 or draw.presence_penalty != 0)
        if not penalises and not self._seen and not len(self._bias_ids) and allowed is None:
            return scores
        scores = scores.copy()
        if len(self._bias_ids):
            scores[self._bias_ids] += self._bias
        if self._seen:
            ids = np.fromiter(self._seen, np.int64, len(self._seen))
            found, penalty = scores[ids], np.float32(draw.repetition_penalty)
            scores[ids] = np.where(found > 0, found / penalty, found * penalty)
        if penalises:
            ids = np.fromiter(self._counts, np.int64, len(self._counts))
            counts = np.fromiter(self._counts.values(), np.float32, len(self._counts))
            scores[ids] -= np.float32(draw.frequency_penalty) * counts + np.float32(draw.presence_penalty)
        if allowed is not None:
            scores[~allowed] = -np.inf
        return scores

    def _drawn(self, weights: NDArray[np.float64]) -> int:
        """A place by weights, which need not add up to 1."""
        sums = np.cumsum(weights)
        place = int(np.searchsorted(sums, self._random.random() * sums[-1], side="right"))
        return min(place, int(np.flatnonzero(weights)[-1]))

    def _drawn_from_likely(self, scores: NDArray[np.float32], best: int) -> int:
        """As vLLM: the temperature first, then top_k, top_p and min_p on what it gives."""
        draw = self._draw
        size = min(len(scores), draw.top_k) if draw.top_k is not None else len(scores)
        weights = np.exp((scores - scores[best]).astype(np.float64) / draw.temperature)
        total = None if draw.top_k is not None else float(weights.sum())
        count = size if draw.top_k is not None else min(size, _LIKELY)
        order = _largest(weights, count)
        whole = float(weights[order].sum()) if total is None else total
        if draw.top_p < 1:
            if total is not None and count < size and weights[order].sum() < draw.top_p * whole:
                order = _largest(weights, size)
            sums = np.cumsum(weights[order])
            order = order[: int(np.searchsorted(sums, draw.top_p * whole)) + 1]
        elif total is not None and count < size:
            order = _largest(weights, size)
        if draw.min_p > 0:
            order = order[weights[order] >= draw.min_p]
        return int(order[self._drawn(weights[order])])


def log_probs(scores: NDArray[np.float32], token: int, top: int) -> tuple[float, list[tuple[int, float]]]:
    """The log-probability of a token, and the `top` most likely ones with theirs, in nats, of the scores alone."""
    best = float(scores.max())
    whole = best + float(np.log(np.exp((scores - best).astype(np.float64)).sum()))
    likely = _largest(scores, min(top, len(scores))) if top else ()
    return float(scores[token]) - whole, [(int(place), float(scores[place]) - whole) for place in likely]


def _largest(values: NDArray[np.floating], count: int) -> NDArray[np.int64]:
    """The places of the largest values, the largest first; equal ones in order."""
    if count < len(values):
        places = np.sort(np.argpartition(-values, count - 1)[:count])
    else:
        places = np.arange(len(values))
    return places[np.argsort(-values[places], kind="stable")]
