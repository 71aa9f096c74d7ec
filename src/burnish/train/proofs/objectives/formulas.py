"""The losses as their papers state them, in float64 from log-probabilities of tokens; no code of the objectives.

Each takes the settings and the rows of one optimizer step, and returns its loss. The papers are named in the files of
the objectives.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, relu, softplus

_CERTAIN = -1e-6
"""The largest log-probability per token in odds."""


@dataclass(frozen=True)
class Row:
    """One row: numbers of its sequences, float64."""

    log_probs: Sequence[Tensor]  # [k] each, of the learned tokens; differentiable
    weights: Sequence[Tensor]  # [k] each
    tokens: Sequence[Mapping[str, Tensor]]  # [k] each, stored numbers of the learned tokens
    values: Mapping[str, Tensor]
    reference: Sequence[Tensor]  # scalars, log-probabilities of the answers under the reference
    scores: Sequence[Tensor]  # scalars, of a reward model


Rows = Sequence[Row]


def causal(spec: Any, rows: Rows) -> Tensor:
    """Cross-entropy, weighted."""
    total = sum(float(weights.sum()) for row in rows for weights in row.weights)
    parts = [-(one * weight).sum() for row in rows for one, weight in zip(row.log_probs, row.weights, strict=True)]
    return torch.stack(parts).sum() / total


def dpo(spec: Any, rows: Rows) -> Tensor:
    """f(Δ) with Δ the difference of log-ratios, and the cross-entropy of the chosen answers."""
    found = list[Tensor]()
    for row in rows:
        ratios = [one.sum() - reference for one, reference in zip(row.log_probs, row.reference, strict=True)]
        if spec.length_normalised or spec.loss == "ipo":
            ratios = [ratio / len(one) for ratio, one in zip(ratios, row.log_probs, strict=True)]
        found.append(_of_difference(spec.loss, ratios[0] - ratios[1], spec.beta, spec.label_smoothing))
    return torch.stack(found).mean() + spec.sft_weight * _of_chosen(rows)


def simpo(spec: Any, rows: Rows) -> Tensor:
    """-log σ(β(ℓ_chosen - ℓ_rejected) - γ) with ℓ per token, or a loss of CPO."""
    is_simpo = spec.loss == "simpo"
    beta = spec.beta if spec.beta is not None else (2.0 if is_simpo else 0.1)
    found = list[Tensor]()
    for row in rows:
        per_token = spec.loss in ("simpo", "ipo")
        good, bad = (one.mean() if per_token else one.sum() for one in row.log_probs)
        if is_simpo:
            margin = beta * (good - bad) - spec.gamma
            found.append(_smoothed(margin, spec.label_smoothing))
        else:
            found.append(_of_difference(spec.loss, good - bad, beta, spec.label_smoothing))
    return torch.stack(found).mean() + spec.sft_weight * _of_chosen(rows)


def orpo(spec: Any, rows: Rows) -> Tensor:
    """Cross-entropy of the chosen answers, and the odds ratio."""
    found = list[Tensor]()
    for row in rows:
        good, bad = (one.mean().clamp(max=_CERTAIN) for one in row.log_probs)
        odds = (good - torch.log(-torch.expm1(good))) - (bad - torch.log(-torch.expm1(bad)))
        found.append(softplus(-odds))
    return _of_chosen(rows) + spec.beta * torch.stack(found).mean()


def kto(spec: Any, rows: Rows) -> Tensor:
    """1 - σ(β(r - z)) of good answers, 1 - σ(β(z - r)) of bad ones; z is given as the value `divergence`."""
    found = list[Tensor]()
    for row in rows:
        ratio = row.log_probs[0].sum() - row.reference[0]
        z = row.values["divergence"] if spec.loss == "kto" else torch.zeros((), dtype=torch.float64)
        if float(row.values["label"]) > 0.5:
            found.append(spec.desirable_weight * torch.sigmoid(spec.beta * (z - ratio)))
        else:
            found.append(spec.undesirable_weight * torch.sigmoid(spec.beta * (ratio - z)))
    return torch.stack(found).mean()


def reward(spec: Any, rows: Rows) -> Tensor:
    """-log σ of the difference of scores less the margin, and the centring."""
    found = list[Tensor]()
    for row in rows:
        good, bad = row.scores
        margin = row.values.get("margin", torch.zeros((), dtype=torch.float64))
        found.append(softplus(-(good - bad - margin)) + spec.center_coefficient * (good + bad) ** 2)
    return torch.stack(found).mean()


def grpo(spec: Any, rows: Rows) -> Tensor:
    """The clipped surrogate of each token, corrected for the engine, and the divergence from the reference."""
    sequences = list[Tensor]()  # the losses of tokens [k] of each sequence
    for row in rows:
        for one, tokens, advantage in zip(row.log_probs, row.tokens, row.values["advantage"].flatten(), strict=True):
            old = tokens.get("old_log_probs", one.detach())
            ratio = torch.exp(one - old)
            shared = torch.exp((one - old).mean()).expand(len(one)) if spec.importance == "sequence" else ratio
            bounded = torch.clamp(shared, 1 - spec.clip_low, 1 + spec.clip_high)
            loss = -torch.minimum(shared * advantage, bounded * advantage)
            if spec.max_engine_ratio is not None:
                loss = (
                    loss * torch.clamp(torch.exp(old - tokens["engine_log_probs"]), max=spec.max_engine_ratio).detach()
                )
            if spec.kl_coefficient and spec.kl_in == "loss":
                loss = loss + spec.kl_coefficient * _divergence(spec, one - tokens["reference_log_probs"], ratio)
            sequences.append(loss)
    total = torch.cat(sequences).sum()
    if spec.normalisation == "token":
        return total / sum(map(len, sequences))
    if spec.normalisation == "sequence":
        return torch.stack([one.sum() / max(len(one), 1) for one in sequences]).mean()
    return total / (len(sequences) * spec.generation.max_new_tokens)


def _divergence(spec: Any, difference: Tensor, ratio: Tensor) -> Tensor:
    if spec.kl_estimator == "k2":
        return difference**2 / 2
    found = difference if spec.kl_estimator == "k1" else torch.exp(-difference) - 1 + difference
    return found * ratio if spec.unbiased_kl else found


def _of_difference(loss: str, delta: Tensor, beta: float, smoothing: float) -> Tensor:
    if loss == "ipo":
        return (delta - 1 / (2 * beta)) ** 2
    if loss == "hinge":
        return relu(1 - beta * delta)
    if loss == "robust":
        right, wrong = softplus(-beta * delta), softplus(beta * delta)
        return ((1 - smoothing) * right - smoothing * wrong) / (1 - 2 * smoothing)
    return _smoothed(beta * delta, smoothing)


def _smoothed(margin: Tensor, smoothing: float) -> Tensor:
    return -(1 - smoothing) * logsigmoid(margin) - smoothing * logsigmoid(-margin)


def _of_chosen(rows: Rows) -> Tensor:
    """The cross-entropy of the chosen answers, per token of the step."""
    return -torch.cat([row.log_probs[0] for row in rows]).mean()


Formula = Callable[[Any, Rows], Tensor]
FORMULAS: Mapping[str, Formula] = {
    "Causal": causal,
    "Dpo": dpo,
    "Simpo": simpo,
    "Orpo": orpo,
    "Kto": kto,
    "Reward": reward,
    "Grpo": grpo,
}
"""By the class of the objective."""
