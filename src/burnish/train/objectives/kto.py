"""Kahneman-Tversky optimization (arXiv 2402.01306), and APO-zero on single answers (arXiv 2408.06266).

r = log π(y|x) - log π_ref(y|x)
kto                 w·(1 - σ(β(r - z))) of desirable rows,  w·(1 - σ(β(z - r))) of undesirable ones
apo_zero_unpaired   w·(1 - σ(βr)),                          w·σ(βr)
z estimates the KL divergence: max(0, mean of r over mismatched pairs), without a gradient and without dropout. A step
pairs the prompt of each of its rows with the answer of the row before, and that of the first with the last one's, as
TRL does in a batch. The order is that of the whole step, so z does not depend on micro-batches.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from burnish.specs.preferences import KtoSpec
from burnish.tokens.tokenised import Indices, TokenisedRows
from burnish.train.batches import Batch
from burnish.train.forward import Forward
from burnish.train.objectives.objective import Scored, Separable, Whole
from burnish.train.objectives.pairs import log_probs_of, reference_of

LABEL = "label"
_MISMATCHED = "mismatched"


class Kto(Separable):
    """A loss of labelled rows; the reference's log-probabilities are values of the rows, or computed at each step."""

    metrics = (
        "accuracy",
        "margin",
        "desirable_reward",
        "undesirable_reward",
        "desirable_log_prob",
        "undesirable_log_prob",
        "desirable_share",
        "kl",
    )
    """Means over the rows with a label; NaN in a step without such rows. A row counts as right if its reward is on the
    side of β·kl that its label says."""
    row_values = ("reward",)

    def __init__(self, spec: KtoSpec):
        self.beta, self.surveys = spec.beta, spec.loss == "kto"
        self._weights = spec.undesirable_weight, spec.desirable_weight
        self._each_step = spec.reference_log_probs == "each_step"

    def survey_rows(self, data: TokenisedRows, rows: Indices) -> tuple[TokenisedRows, Indices]:
        pairs = mismatched_pairs(rows, len(data))
        found = mismatched_rows(data, pairs)
        if isinstance(data, WithMismatched):
            found = found.with_values(**{_MISMATCHED: data.mismatched(pair_keys(pairs, len(data)))})
        return found, np.arange(len(rows))

    def survey(self, forward: Forward, batch: Batch) -> Tensor:
        reference = reference_of(forward, batch, self._each_step, _MISMATCHED)
        return (log_probs_of(forward, batch) - reference).sum()

    def score(self, forward: Forward, batch: Batch, whole: Whole) -> Scored:
        reference = reference_of(forward, batch, self._each_step)
        log_probs = log_probs_of(forward, batch)[:, 0]
        ratios = log_probs - reference[:, 0]  # [R]
        divergence = ratios.new_zeros(()) if whole.surveyed is None else (whole.surveyed / whole.divisor).clamp(min=0)
        good = batch.values[LABEL] > 0.5
        signs = torch.where(good, 1.0, -1.0)
        gains = signs * (ratios - divergence)
        losses = torch.where(good, self._weights[1], self._weights[0]) * torch.sigmoid(-self.beta * gains)
        rewards = self.beta * ratios.detach()
        desirable = whole.totals[LABEL]
        per_label = torch.tensor([_inverse(desirable), _inverse(whole.divisor - desirable)], device=ratios.device)
        sides = torch.stack([good, ~good]).float()  # [2, R]
        by_label = torch.stack([rewards, log_probs.detach()]) @ sides.T * per_label  # [reward, log prob] x [good, bad]
        shares = torch.stack([gains.detach() > 0, good]).float().sum(1) / whole.divisor
        return Scored(
            losses.sum() / whole.divisor,
            losses.detach(),
            torch.stack(
                [
                    shares[0],
                    by_label[0, 0] - by_label[0, 1],
                    *by_label.flatten(),
                    shares[1],
                    divergence * len(batch.rows) / whole.divisor,
                ]
            ),
            rewards[None],
        )


def _inverse(count: float) -> float:
    return 1 / count if count else float("nan")


def _unknown(keys: Indices) -> NDArray[np.float32]:
    raise LookupError(f"the reference's log-probabilities of {len(keys)} pairs are unknown")


@dataclass(frozen=True)
class WithMismatched(TokenisedRows):
    """Rows with the reference's log-probabilities of the mismatched pairs of every step, by `pair_keys`."""

    mismatched: Callable[[Indices], NDArray[np.float32]] = _unknown


def mismatched_pairs(rows: Indices, count: int) -> Indices:
    """(row of the prompt, row of the answer) [n, 2] for a step on these rows of `count`.

    The only row of a step takes the answer of the next row of the data.
    """
    if len(rows) == 1:
        return np.stack([rows, (rows + 1) % count], 1)
    return np.stack([rows, np.roll(rows, 1)], 1)


def pair_keys(pairs: Indices, count: int) -> Indices:
    """One number for each pair [n, 2] of `count` rows; `pairs_of_keys` is the inverse."""
    return pairs[:, 0] * count + pairs[:, 1]


def pairs_of_keys(keys: Indices, count: int) -> Indices:
    """The pairs [n, 2] with these keys."""
    return np.stack([keys // count, keys % count], 1)


def all_keys(steps: Iterable[Indices], count: int) -> Indices:
    """The keys of the mismatched pairs of all steps, ascending, each once."""
    found = [pair_keys(mismatched_pairs(rows, count), count) for rows in steps]
    return np.unique(np.concatenate(found)) if found else np.zeros(0, np.int64)


def mismatched_rows(data: TokenisedRows, pairs: Indices) -> TokenisedRows:
    """One row for each pair: the prompt of the first row, then the answer of the second, from its first learned token.

    No row is longer than the longest of the data, for which the model was tested: longer ones are cut at the end.
    """
    longest = int(data.sequence_lengths.max(initial=0))
    first = {row: data.span(row).start + int(np.argmax(data.weights[data.span(row)] > 0)) for row in np.unique(pairs)}

    def joined(prompt: int, answer: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        begin = slice(data.span(prompt).start, first[prompt])
        end = slice(first[answer], data.span(answer).stop)
        ids = np.concatenate([data.ids[begin], data.ids[end]])[:longest]
        weights = np.concatenate([np.zeros(begin.stop - begin.start, np.float32), data.weights[end]])[:longest]
        return ids, weights

    return TokenisedRows.of_groups(
        (f"{data.row_ids[prompt]}+{data.row_ids[answer]}", [joined(prompt, answer)])
        for prompt, answer in pairs.tolist()
    )
