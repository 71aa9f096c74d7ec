"""The advantages of ppo: each token is compared with the value that the model's value head expected before it."""

import numpy as np
import torch
from numpy.typing import NDArray

from burnish.models.value_head import unsupported
from burnish.specs.rl import PpoSpec
from burnish.tokens.tokenised import TokenisedRows
from burnish.train.batches import Batch
from burnish.train.objectives.ppo import OLD_VALUE, RETURN, log_probs_and_values
from burnish.train.objectives.surrogate import ADVANTAGE, OLD, REWARD
from burnish.train.passes import ForwardPasses
from burnish.train.rollout.estimate import Estimated
from burnish.train.rollout.gae import Numbers, explained_variance, generalized_advantages, whiten
from burnish.train.rollout.judged import Sampled
from burnish.train.rollout.per_token import ReferencePass, computed, sequences_of, spread, sums


class TokenAdvantages:
    """Old log-probabilities and values of one pass; advantages and returns from rewards of tokens.

    The reward of a token is -kl_coefficient·(log π_old - log π_ref); that of the completion is added to its last one.
    Errors: ModelError `model.unsupported` where hidden states cannot be read.
    """

    def __init__(self, spec: PpoSpec, passes: ForwardPasses, reference: ReferencePass | None, updates: int):
        if passes.scorer.uses_own_head:
            raise unsupported(passes.scorer.causal)
        self._passes, self._reference, self._temperature = passes, reference, spec.generation.temperature
        self._gamma, self._lambda, self._coefficient = spec.gamma, spec.gae_lambda, spec.kl_coefficient
        self._whitens_rewards, self._whitens_advantages = spec.whiten_rewards, spec.whiten_advantages
        self._missing_end = spec.missing_end_penalty

    def __call__(self, rows: TokenisedRows, found: Sampled, left_out: NDArray[np.bool_]) -> Estimated:
        metrics, shape = dict[str, float](), left_out.shape
        learned = rows.learned_tokens(np.arange(len(rows)))
        sequences = sequences_of(rows, learned)
        old, values = computed(self._passes, rows, self._old, 2)
        rewards, per_completion = np.zeros(len(learned)), dict[str, NDArray[np.float64]]()
        if self._reference is not None:
            difference = (old - self._reference(rows)).astype(np.float64)  # k1
            rewards -= self._coefficient * difference
            per_completion["kl"] = sums(rows, learned, difference).reshape(shape)
            metrics["kl"] = float(difference.mean()) if len(learned) else 0.0
        has_no_end = np.array([answer.end is None for answer in found.answers]).reshape(shape)
        totals = (found.totals - self._missing_end * has_no_end).flatten()
        is_last = np.append(sequences[1:] != sequences[:-1], True)[: len(sequences)]
        rewards[is_last] += totals[sequences[is_last]]
        totals = np.where(left_out, np.nan, sums(rows, learned, rewards).reshape(shape))
        if len(learned):
            metrics["reward_with_kl"] = float(np.nanmean(totals))
        if self._whitens_rewards:
            rewards = whiten(rewards, shift=False)
        expected = values.astype(np.float64)
        advantages, returns = generalized_advantages(rewards, expected, sequences, self._gamma, self._lambda)
        metrics |= _of_values(expected, returns)
        if self._whitens_advantages:
            advantages = whiten(advantages)
        given = {OLD: old, OLD_VALUE: values, ADVANTAGE: advantages, RETURN: returns}
        rows = rows.with_token_values(**{name: spread(rows, learned, some) for name, some in given.items()})
        rows = rows.with_values(**{REWARD: found.totals.astype(np.float32).reshape(-1, rows.width)})
        counts = np.maximum(sums(rows, learned, np.ones(len(learned))), 1).reshape(shape)
        first = np.full(left_out.size, np.nan)
        first[sequences[::-1]] = expected[::-1]
        per_completion |= {
            "advantage": sums(rows, learned, advantages).reshape(shape) / counts,
            "value": first.reshape(shape),
        }
        return Estimated(rows, per_completion, metrics, np.ones(len(rows), np.bool_))

    def _old(self, batch: Batch) -> torch.Tensor:
        return torch.stack(log_probs_and_values(self._passes.scorer, batch, self._temperature))


def _of_values(values: Numbers, returns: Numbers) -> dict[str, float]:
    explained = explained_variance(returns, values)
    found = {"value": float(values.mean())} if len(values) else {}
    return found if explained is None else found | {"explained_variance": explained}
