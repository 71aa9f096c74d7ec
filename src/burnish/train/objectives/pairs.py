"""What the objectives on pairs share: log-probabilities of the chosen and the rejected answer, and their metrics."""

from dataclasses import dataclass

import torch
from torch import Tensor

from burnish.train.batches import Batch
from burnish.train.forward import Forward

CHOSEN, REJECTED = 0, 1
METRICS = ("accuracy", "margin", "chosen_reward", "rejected_reward", "chosen_log_prob", "rejected_log_prob")
ROW_VALUES = ("margin",)


@dataclass(frozen=True)
class Pairs:
    """The answers of a batch of R pairs under one model; column 0 is the chosen one."""

    log_probs: Tensor  # [R, 2], of the whole answer; differentiable
    lengths: Tensor  # [R, 2], learned tokens

    @property
    def per_token(self) -> Tensor:
        """[R, 2], log-probabilities per learned token."""
        return self.log_probs / self.lengths


def pairs_of(forward: Forward, batch: Batch) -> Pairs:
    """The log-probabilities of both answers of each pair."""
    log_probs = -batch.sums(forward.token_losses(batch))
    return Pairs(log_probs.view(-1, batch.width), batch.counts.view(-1, batch.width))


def metrics(rewards: Tensor, log_probs: Tensor, divisor: float) -> Tensor:
    """A micro-batch's part of `METRICS` [6], for rewards [R, 2] and log-probabilities [R, 2].

    The accuracy is the share of pairs whose chosen answer has the larger reward; equal ones count as wrong.
    """
    margin = rewards[:, CHOSEN] - rewards[:, REJECTED]
    values = torch.stack([(margin > 0).float(), margin, *rewards.unbind(1), *log_probs.unbind(1)])
    return values.detach().sum(1) / divisor
