"""The order of rollouts and of the optimizer steps on each."""

from dataclasses import dataclass
from functools import cached_property
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
        self._is_left_out = np.zeros(len(lengths), bool)
        self._is_left_out[self.without] = True

    def _epoch(self, epoch: int) -> tuple[Indices, ...]:
        steps = [
            prompts[part]
            for prompts in self._rollouts.epoch(epoch)
            for _ in range(self._passes)
            for part in self._parts(len(prompts))
        ]
        return tuple(some[~self._is_left_out[some]] for some in steps)

    def _parts(self, prompts: int) -> list[Indices]:
        return np.array_split(np.arange(prompts), min(self._mini_batches, prompts))

    def _place(self, cursor: Cursor) -> tuple[int, int]:
        """The rollout of the step at the cursor, and which of the steps on it this is, from 0.

        All rollouts of an epoch but the last one have as many prompts, and as many steps.
        """
        in_epoch = min(cursor.step // self.updates, self._per_epoch - 1)
        return cursor.epoch * self._per_epoch + in_epoch, cursor.step - in_epoch * self.updates

    def _prompts(self, rollout: int) -> Indices:
        epoch, place = divmod(rollout, self._per_epoch)
        return self._rollouts.epoch(epoch)[place]

    def update(self, cursor: Cursor) -> Update:
        """What the step at the cursor does."""
        rollout, step = self._place(cursor)
        prompts = self._prompts(rollout)
        parts = self._parts(len(prompts))
        if step >= self._passes * len(parts):
            raise IndexError(cursor)
        kept = ~self._is_left_out[prompts]
        places = np.cumsum(kept) - 1  # of the kept prompts among themselves
        part = parts[step % len(parts)]
        return Update(rollout, step, prompts[kept], places[part[kept[part]]])

    def rollout(self, step: int) -> int:
        """The rollout that the step after `step` steps uses."""
        return self._place(self.cursor(step))[0]

    def cursor(self, step: int) -> Cursor:
        """The cursor after so many steps."""
        return Cursor(*divmod(step, self._steps_of_epoch))

    def made(self, step: int) -> list[int]:
        """The rollouts that the first `step` steps use; one whose prompts are all left out is never made."""
        last, done = self._place(self.cursor(step))
        begun = list(range(last + (done > 0)))
        if not len(self.without):
            return begun
        return [number for number in begun if self._is_made(number, done if number == last else None)]

    def _is_made(self, rollout: int, steps: int | None) -> bool:
        """True if one of the first steps on a rollout has a prompt."""
        prompts = self._prompts(rollout)
        return any(not self._is_left_out[prompts[part]].all() for part in self._parts(len(prompts))[:steps])

    def step(self, update: Update) -> int:
        """The first step on the rollout of an update, counted from 1."""
        epoch, place = divmod(update.rollout, self._per_epoch)
        return epoch * self._steps_of_epoch + place * self.updates + 1

    @cached_property
    def _per_epoch(self) -> int:
        return len(self._rollouts.epoch(0))

    @cached_property
    def _steps_of_epoch(self) -> int:
        last = self._parts(len(self._rollouts.epoch(0)[-1]))
        return (self._per_epoch - 1) * self.updates + self._passes * len(last)

    @cached_property
    def updates(self) -> int:
        """The most steps on one rollout."""
        return self._passes * len(self._parts(len(self._rollouts.epoch(0)[0])))
