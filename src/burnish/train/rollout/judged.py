"""Completions of prompts with their rewards, in training and for validation prompts."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from burnish.core.errors import RunError
from burnish.core.events import Event, Note, Progress
from burnish.evals.scoring.scorers import opening
from burnish.models.engines.protocol import Answer
from burnish.train.checkpoints.checkpoint import capture_randomness, restore_randomness
from burnish.train.passes import ForwardPasses
from burnish.train.rewards.reward import Completion, Reward, Rewards, counts_of, total
from burnish.train.rollout.prompts import Prompt, Prompts
from burnish.train.rollout.sampler import Sampler, seed_of

_TAIL = 64
"""Tokens at the end of a prompt in which its template may open the reasoning."""


@dataclass(frozen=True)
class Sampled:
    """Completions of prompts, `copies` of each, with their rewards; in the order of the prompts."""

    prompts: list[Prompt]
    answers: list[Answer]
    rewards: Rewards
    counts: Mapping[str, int] = field(default_factory=dict)
    """What the rewards counted meanwhile, as `counts_of` names it."""

    @property
    def copies(self) -> int:
        return len(self.answers) // max(1, len(self.prompts))

    @property
    def totals(self) -> NDArray[np.float64]:
        """[prompts, copies]; NaN for a completion without a total."""
        found = [math.nan if value is None else value for value in self.rewards.totals]
        return np.array(found, np.float64).reshape(len(self.prompts), -1)

    def metrics(self) -> dict[str, float]:
        """Means over the completions."""
        totals = self.totals
        known = totals[~np.isnan(totals)]
        values = {"reward": float(known.mean()) if known.size else math.nan}
        values["reward_std"] = float(known.std(ddof=1)) if known.size > 1 else 0.0
        for name, found in self.rewards.values.items():
            given = [item.value for item in found if item.value is not None]
            if given:
                values[f"reward/{name}"] = float(np.mean(given))
            values[f"reward/{name}/applied"] = self.rewards.applied[name] / len(found)
        values |= {f"reward/{name}": float(number) for name, number in self.counts.items()}
        values["answer_tokens"] = float(np.mean([len(answer.ids) for answer in self.answers]))
        values["truncated"] = float(np.mean([answer.end is None for answer in self.answers]))
        values["unrewarded"] = len(self.rewards.unrewarded) / len(self.answers)
        return values


class Judged:
    """Samples completions and rewards them."""

    def __init__(self, sampler: Sampler, rewards: Sequence[Reward], passes: ForwardPasses):
        self._sampler, self._rewards, self._passes = sampler, rewards, passes

    @property
    def emit(self) -> Callable[[Event], None]:
        return self._passes.emit

    @property
    def stop_ids(self) -> frozenset[int]:
        """Tokens that end a completion."""
        return self._sampler.stop_ids

    @property
    def longest(self) -> int:
        """The most tokens of a completion."""
        return self._sampler.longest

    def sample(
        self,
        prompts: list[Prompt],
        copies: int,
        temperature: float,
        seed: int,
        phase: str = "rollout",
        is_first: bool = False,
    ) -> Sampled:
        """`copies` completions of each prompt; those of the first rollout show whether the rewards apply.

        Errors: those of the sampler, of `total` and of `Rewards.check`; StopRequestedError.
        """
        emit = self._passes.emit

        def progress(done: int, total: int) -> None:
            self._passes.raise_if_stopping()
            emit(Progress(phase=phase, done=done, total=total, unit="completions"))

        ids = [prompt.ids for prompt in prompts for _ in range(copies)]
        answers = self._sampler.sample(ids, temperature, seed, progress)
        openings = [opening(self._sampler.text_of(prompt.ids[-_TAIL:])) for prompt in prompts]
        completions = [
            Completion(
                prompt.row,
                prompt.messages,
                answer.text,
                tuple(answer.ids),
                answer.finish_reason,
                prompt.reference,
                openings[place // copies],
            )
            for place, (prompt, answer) in enumerate(
                zip([p for p in prompts for _ in range(copies)], answers, strict=True)
            )
        ]
        before = counts_of(self._rewards)
        randomness = capture_randomness()  # a reward of a plugin may draw numbers
        try:
            rewards = total(self._rewards, completions, copies)
        finally:
            restore_randomness(randomness)
        if len(rewards.unrewarded) == len(completions):
            raise RunError(
                "run.bad-reward",
                f"none of the {len(completions)} completions of {prompts[0].row['source']} and others has a reward: "
                f"{rewards.why_none(0)}",
                rewards.fix([reward for reward in self._rewards if reward.weight]),
            )
        if is_first:
            for text in rewards.check(self._rewards):
                emit(Note(level="warning", text=text))
        counts = {name: number - before[name] for name, number in counts_of(self._rewards).items()}
        return Sampled(prompts, answers, rewards, counts)


class HeldOutPrompts:
    """The mean reward of one completion of each validation prompt."""

    measure, higher_is_better, before_training = "reward", True, True

    def __init__(self, prompts: Prompts, judged: Judged, temperature: float, seed: int):
        self._prompts, self._judged, self._temperature = prompts, judged, temperature
        self._seed = seed_of(seed, "held out")

    def evaluate(self, step: int) -> dict[str, float]:
        """`reward` and the other means over the completions."""
        prompts = self._prompts.at(range(len(self._prompts)))
        return self._judged.sample(prompts, 1, self._temperature, self._seed, "evaluation").metrics()
