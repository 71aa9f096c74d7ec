"""Selects the next token: the most likely one, or a sample whose randomness depends on the prompt alone."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from burnish.specs.evals import GenerationSpec


@dataclass(frozen=True)
class Sampling:
    """How to sample; None instead means greedy."""

    temperature: float
    top_p: float
    top_k: int | None
    seed: int

    @classmethod
    def of(cls, spec: GenerationSpec) -> "Sampling | None":
        """The sampling that `spec` requests; at temperature 0 the other settings have no effect and are not read."""
        if spec.temperature == 0:
            return None
        return cls(spec.temperature, spec.top_p, spec.top_k, spec.seed)

    def draws(self, prompts: Sequence[Sequence[int]], count: int) -> torch.Tensor:
        """[prompts, count] uniform numbers in [0, 1): each row a function of the seed and its prompt.

        Batches may therefore be split and ordered freely. A repeated prompt gets other numbers.
        """
        return drawn(self.seeds(prompts), count)

    def seeds(self, prompts: Sequence[Sequence[int]]) -> list[int]:
        """What `drawn` gives the numbers of each prompt for."""
        seen: Counter[tuple[int, ...]] = Counter()
        found = list[int]()
        for prompt in prompts:
            key = tuple(prompt)
            digest = hashlib.sha256(repr((self.seed, seen[key], key)).encode()).digest()
            seen[key] += 1
            found.append(int.from_bytes(digest[:8], "little", signed=True))
        return found


def drawn(seeds: Sequence[int], count: int) -> torch.Tensor:
    """[seeds, count] uniform numbers in [0, 1); more of them begin with the same ones."""
    generators = (torch.Generator().manual_seed(seed) for seed in seeds)
    return torch.stack([torch.rand(count, generator=generator, dtype=torch.float64) for generator in generators])


def next_tokens(logits: torch.Tensor, sampling: Sampling | None, draws: torch.Tensor | None) -> torch.Tensor:
    """[rows] token ids from `logits` [rows, vocabulary]; `draws` [rows] are the uniform numbers of this step.

    Top-k is applied before top-p; the token that crosses top-p is kept (Holtzman et al., arXiv 1904.09751).
    """
    if sampling is None or draws is None:
        return logits.argmax(dim=-1)
    scores = logits.double() / sampling.temperature
    if sampling.top_k is not None:
        scores, order = scores.topk(min(sampling.top_k, scores.shape[-1]), dim=-1)
    else:
        scores, order = scores.sort(dim=-1, descending=True)
    probabilities = scores.softmax(dim=-1)
    before = probabilities.cumsum(dim=-1) - probabilities  # [rows, kept] the share of all likelier tokens
    probabilities = probabilities.where(before < sampling.top_p, 0.0)
    upto = probabilities.cumsum(dim=-1)
    chosen = (upto <= draws[:, None].to(upto) * upto[:, -1:]).sum(dim=-1)
    return order.gather(-1, chosen.clamp(max=order.shape[-1] - 1)[:, None]).squeeze(-1)


def log_probs_of(tokens: torch.Tensor, logits: torch.Tensor, sampling: Sampling | None) -> torch.Tensor:
    """[rows] log-probabilities of `tokens` [rows] under `logits` [rows, vocabulary], at the sampling's temperature."""
    scores = logits.double() / (1.0 if sampling is None else sampling.temperature)
    return scores.log_softmax(dim=-1).gather(-1, tokens[:, None]).squeeze(-1)
