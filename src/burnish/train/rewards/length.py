"""Penalties that need only the answer: its length, and its repetitions."""

from collections.abc import Hashable, Sequence

from burnish.evals.scoring.repetition import repeated
from burnish.evals.scoring.rouge import words
from burnish.specs.rewards import LengthReward, RepetitionReward
from burnish.train.rewards.reward import Completion, Rewarded


class Length:
    """The penalty of `LengthReward`, from −1 to 0."""

    def __init__(self, spec: LengthReward, name: str):
        self.name, self.weight = name, spec.weight
        self.unit, self.margin = spec.unit, spec.margin
        self.low, self.high, self.target = spec.min, spec.max, spec.target

    def __call__(self, completions: Sequence[Completion]) -> list[Rewarded]:
        return [self._rewarded(len(one.ids if self.unit == "tokens" else one.text)) for one in completions]

    def _rewarded(self, length: int) -> Rewarded:
        return Rewarded(self.penalty(length), f"{length:,} {self.unit}")

    def penalty(self, length: int) -> float:
        """The penalty of a length."""
        if self.target is not None:
            return 0.0 - min(1.0, abs(length - self.target) / self.margin)
        over = 0.0 if self.high is None else self._outside(length - self.high)
        under = 0.0 if self.low is None else self._outside(self.low - length)
        return 0.0 - max(over, under)

    def _outside(self, distance: int) -> float:
        """From 0 to 1: 1 beyond the limit, where the distance is positive, and 0 more than the margin before it.

        DAPO (arXiv 2503.14476), eq. 13, with L_max the limit and L_cache the margin.
        """
        if distance > 0:
            return 1.0
        return max(0.0, (distance + self.margin) / self.margin) if self.margin else 0.0

    def close(self) -> None:
        """Nothing is held."""


class Repetition:
    """Minus the share of n-grams that occurred before in the same answer (arXiv 2502.03373)."""

    def __init__(self, spec: RepetitionReward, name: str):
        self.name, self.weight = name, spec.weight
        self.size, self.unit = spec.ngram, spec.unit

    def __call__(self, completions: Sequence[Completion]) -> list[Rewarded]:
        return [self._rewarded(one.ids if self.unit == "tokens" else words(one.text)) for one in completions]

    def _rewarded(self, units: Sequence[Hashable]) -> Rewarded:
        again, grams = repeated(units, self.size)
        if not grams:
            return Rewarded(0.0, f"fewer than {self.size} {self.unit}")
        return Rewarded(0.0 - again / grams, f"{again} of {grams} {self.size}-grams repeat")

    def close(self) -> None:
        """Nothing is held."""
