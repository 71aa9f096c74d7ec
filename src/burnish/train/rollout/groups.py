"""The advantages of grpo: each completion is compared with the others of its prompt."""

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from burnish.specs.rl import GrpoSpec
from burnish.tokens.tokenised import TokenisedRows
from burnish.train.objectives.surrogate import ADVANTAGE, OLD, PENALISED, REFERENCE, REWARD, kl
from burnish.train.passes import ForwardPasses
from burnish.train.rollout.advantages import group_advantages
from burnish.train.rollout.equal import EQUAL
from burnish.train.rollout.estimate import Estimated
from burnish.train.rollout.judged import Sampled
from burnish.train.rollout.per_token import ReferencePass, log_probs, spread, sums


class GroupAdvantages:
    """Advantages of completions, and the log-probabilities that the ratios and the KL divergence need."""

    def __init__(self, spec: GrpoSpec, passes: ForwardPasses, reference: ReferencePass | None, updates: int):
        self._passes, self._reference, self._updates = passes, reference, updates
        self._temperature = spec.generation.temperature
        self._advantages = partial(group_advantages, baseline=spec.baseline, scale=spec.advantage_scale)
        self._drops_equal = spec.drop_equal_groups
        self._penalises = reference is not None and spec.kl_in == "reward"
        self._kl, self._coefficient = partial(kl, estimator=spec.kl_estimator), spec.kl_coefficient

    def __call__(self, rows: TokenisedRows, found: Sampled, left_out: NDArray[np.bool_]) -> Estimated:
        totals, old = found.totals, None
        learned, metrics = rows.learned_tokens(np.arange(len(rows))), dict[str, float]()
        if self._updates > 1 or self._penalises:
            old = log_probs(self._passes, rows, self._temperature)
            rows = rows.with_token_values(**{OLD: spread(rows, learned, old)})
        if self._reference is not None:
            reference = self._reference(rows)
            rows = rows.with_token_values(**{REFERENCE: spread(rows, learned, reference)})
            if self._penalises and old is not None:
                estimates = self._kl(torch.from_numpy(old - reference)).numpy()
                penalty = sums(rows, learned, estimates)
                totals = totals - self._coefficient * penalty.reshape(totals.shape)
                totals[left_out] = np.nan  # without tokens they have no penalty: they take no part in the baseline
                if not left_out.all():
                    metrics["reward_with_kl"] = float(np.nanmean(totals))
        advantages = self._advantages(totals)
        metrics[EQUAL] = float(advantages.equal.mean())
        values = {ADVANTAGE: advantages.values, REWARD: found.totals, PENALISED: totals}
        shape = -1, rows.width
        rows = rows.with_values(**{name: array.astype(np.float32).reshape(shape) for name, array in values.items()})
        used = np.ones(len(rows), np.bool_)
        if self._drops_equal:
            used = np.repeat(~advantages.equal, found.copies // rows.width)
        return Estimated(rows, {"advantage": advantages.values}, metrics, used)
