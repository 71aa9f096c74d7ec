"""What the objectives on pairs share: log-probabilities of both answers, losses of their difference, and metrics."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from burnish.train.batches import Batch
from burnish.train.forward import Forward
from burnish.train.objectives.objective import Whole

CHOSEN, REJECTED = 0, 1
METRICS = ("accuracy", "margin", "chosen_reward", "rejected_reward", "chosen_log_prob", "rejected_log_prob")
ROW_VALUES = ("margin",)
REFERENCE = "reference"
"""The value of rows that holds the reference's log-probabilities, [rows, width]."""


@dataclass(frozen=True)
class Pairs:
    """The answers of a batch of R pairs under one model; column 0 is the chosen one."""

    log_probs: Tensor  # [R, 2], of the whole answer; differentiable
    lengths: Tensor  # [R, 2], learned tokens

    @property
    def per_token(self) -> Tensor:
        """[R, 2], log-probabilities per learned token."""
        return self.log_probs / self.lengths


def log_probs_of(forward: Forward, batch: Batch) -> Tensor:
    """The log-probability of the learned tokens of each sequence, [R, width]."""
    return -batch.sums(forward.token_losses(batch)).view(-1, batch.width)


def reference_of(forward: Forward, batch: Batch, each_step: bool, name: str = REFERENCE) -> Tensor:
    """The reference's log-probabilities [R, width]: a value of the rows, or at each step the adapter switched off."""
    if not each_step:
        return batch.values[name]
    with forward.untrained():
        return log_probs_of(forward, batch)


def pairs_of(forward: Forward, batch: Batch) -> Pairs:
    """The log-probabilities of both answers of each pair."""
    return Pairs(log_probs_of(forward, batch), batch.counts.view(-1, batch.width))


def chosen_cross_entropy(pairs: Pairs, whole: Whole) -> Tensor:
    """The part of each pair [R] in the cross-entropy of the chosen answers per token of the step, times the pairs."""
    return -pairs.log_probs[:, CHOSEN] * (whole.divisor / whole.learned[CHOSEN])


def metrics(rewards: Tensor, log_probs: Tensor, divisor: float) -> Tensor:
    """A micro-batch's part of `METRICS` [6], for rewards [R, 2] and log-probabilities [R, 2]."""
    values = torch.stack([*preferences(rewards), *rewards.unbind(1), *log_probs.unbind(1)])
    return values.detach().sum(1) / divisor


def preferences(rewards: Tensor) -> tuple[Tensor, Tensor]:
    """(is the reward of the chosen answer larger, by how much) of each pair [R]; equal ones count as wrong."""
    margin = rewards[:, CHOSEN] - rewards[:, REJECTED]
    return (margin > 0).float(), margin


def losses(kind: str, smoothing: float) -> Callable[[Tensor, float], Tensor]:
    """The loss of each pair as a function of Δ [R] and β.

    sigmoid    -(1-ε)·log σ(βΔ) - ε·log σ(-βΔ)                    ε = smoothing (conservative DPO)
    robust     [-(1-ε)·log σ(βΔ) + ε·log σ(-βΔ)] / (1-2ε)         arXiv 2403.00409
    hinge      max(0, 1 - βΔ)                                      arXiv 2305.10425
    ipo        (Δ - 1/2β)²                                         arXiv 2310.12036
    """

    def sigmoid(delta: Tensor, beta: float) -> Tensor:
        return -(1 - smoothing) * logsigmoid(beta * delta) - smoothing * logsigmoid(-beta * delta)

    def robust(delta: Tensor, beta: float) -> Tensor:
        flipped = smoothing * logsigmoid(-beta * delta)
        return (flipped - (1 - smoothing) * logsigmoid(beta * delta)) / (1 - 2 * smoothing)

    def hinge(delta: Tensor, beta: float) -> Tensor:
        return torch.relu(1 - beta * delta)

    def ipo(delta: Tensor, beta: float) -> Tensor:
        return (delta - 1 / (2 * beta)).square()

    return {"sigmoid": sigmoid, "robust": robust, "hinge": hinge, "ipo": ipo}[kind]
