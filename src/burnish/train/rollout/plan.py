"""The order of rollouts and of the optimizer steps on each."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from burnish.tokens.tokenised import Indices
from burnish.train.batches import Cursor, StepPlan


@dataclass(frozen=True)
class Update:
    """One optimizer step: which rollout it uses, and which of its prompts."""

    rollout: int
    """Counted over the whole run."""
    number: int
    """Among the steps on this rollout, from 0."""
    prompts: Indices
    """The prompts of the rollout."""
    part: Indices
    """Positions in `prompts` of those that the step uses."""


class RolloutPlan(StepPlan):
    """`batch_size` prompts form a rollout; its completions are used in `passes` × `mini_batches` steps.

    `rows` are the prompts of a step. The last rollout of an epoch takes the remaining prompts, and as many
    mini-batches as it has prompts, at most. Prompts in `without` are left out of their steps, which stay.
    """

    def __init__(
        self,
        lengths: Indices,
        *,
        mini_batches: int = 1,
        passes: int = 1,
        without: Indices | None = None,
        **settings: Any,
    ):
        super().__init__(lengths, without=without, **settings)
        self._rollouts = StepPlan(lengths, **settings)
        self._mini_batches, self._passes = mini_batches, passes

    def _epoch(self, epoch: int) -> tuple[Indices, ...]:
        steps = [
            prompts[part]
            for prompts in self._rollouts.epoch(epoch)
            for _ in range(self._passes)
            for part in self._parts(len(prompts))
        ]
        return tuple(some[~np.isin(some, self.without)] for some in steps)

    def _parts(self, prompts: int) -> list[Indices]:
        return np.array_split(np.arange(prompts), min(self._mini_batches, prompts))

    def update(self, cursor: Cursor) -> Update:
        """What the step at the cursor does."""
        rollouts, step = self._rollouts.epoch(cursor.epoch), cursor.step
        for place, prompts in enumerate(rollouts):
            parts = self._parts(len(prompts))
            steps = self._passes * len(parts)
            if step < steps:
                number = cursor.epoch * len(rollouts) + place
                kept = ~np.isin(prompts, self.without)
                places = np.cumsum(kept) - 1  # of the kept prompts among themselves
                part = parts[step % len(parts)]
                return Update(number, step, prompts[kept], places[part[kept[part]]])
            step -= steps
        raise IndexError(cursor)

    def cursor(self, step: int) -> Cursor:
        """The cursor after so many steps."""
        return Cursor(*divmod(step, len(self.epoch(0))))

    def made(self, step: int) -> list[int]:
        """The rollouts that the first `step` steps use; one whose prompts are all left out is never made."""
        end = self.cursor(step)
        found: list[int] = []
        for epoch in range(end.epoch + 1):
            rollouts, before = self._rollouts.epoch(epoch), 0
            for place, prompts in enumerate(rollouts):
                parts = self._parts(len(prompts))
                steps = self._passes * len(parts)
                done = steps if epoch < end.epoch else min(steps, max(0, end.step - before))
                kept = ~np.isin(prompts, self.without)
                if any(kept[part].any() for part in parts[:done]):
                    found.append(epoch * len(rollouts) + place)
                before += steps
        return found

    def step(self, update: Update) -> int:
        """The first step on the rollout of an update, counted from 1."""
        rollouts = self._rollouts.epoch(0)
        epoch, place = divmod(update.rollout, len(rollouts))
        before = sum(self._passes * len(self._parts(len(prompts))) for prompts in rollouts[:place])
        return epoch * len(self.epoch(0)) + before + 1

    @property
    def updates(self) -> int:
        """The most steps on one rollout."""
        return self._passes * len(self._parts(len(self._rollouts.epoch(0)[0])))
