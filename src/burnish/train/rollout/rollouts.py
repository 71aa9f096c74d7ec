"""Makes rollouts during a training: sample, reward, estimate, and give the rows of each step.

prompts of the plan → completions in the weights of now → rewards → advantages of the method → rows, published → steps
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.core.errors import RunError
from burnish.specs.rl import RolloutSpec
from burnish.tokens.tokenised import Indices, TokenisedRows
from burnish.train.batches import Cursor
from burnish.train.objectives.surrogate import ENGINE
from burnish.train.rollout.equal import warn_of_first
from burnish.train.rollout.estimate import Estimated, Estimator
from burnish.train.rollout.judged import Judged, Sampled
from burnish.train.rollout.per_token import ReferencePass
from burnish.train.rollout.plan import RolloutPlan, Update
from burnish.train.rollout.prompts import Prompts
from burnish.train.rollout.sampler import seed_of
from burnish.train.rollout.store import Rollout, RolloutFolder


class Rollouts:
    """The material of a training on rollouts."""

    is_fixed = False
    reference: ReferencePass | None = None
    """The pass of the reference, for the checks."""

    def __init__(
        self,
        spec: RolloutSpec,
        prompts: Prompts,
        judged: Judged,
        plan: RolloutPlan,
        folder: RolloutFolder,
        estimate: Estimator,
        width: int,
    ):
        self._spec, self._prompts, self._judged, self._plan = spec, prompts, judged, plan
        self._folder, self._estimate, self._width = folder, estimate, width
        self._masks_truncated = spec.mask_truncated
        self.proves_only: Indices | None = None
        """The prompts of the only rollout, if nothing is trained on it."""
        self._now: Rollout | None = None
        self._places: dict[int, Indices] = {}  # Rollout.prompts by number: results are read some steps later

    def at(self, cursor: Cursor) -> tuple[TokenisedRows, Indices]:
        """The rows of a step: those of its rollout, which is made before the first step on it.

        Errors: those of `Judged.sample` and `ForwardPasses.each`; RunError `run.broken-checkpoint`.
        """
        update = self._plan.update(cursor)
        if not len(update.part):  # all of its prompts are left out
            return self._prompts.tokens, update.part
        rollout = self._rollout(update)
        rows = np.flatnonzero(np.isin(rollout.prompts, update.part))
        used = rows[rollout.used[rows]]
        return rollout.rows, used if len(used) else rows

    @property
    def stop_ids(self) -> frozenset[int]:
        """Tokens that end a completion."""
        return self._judged.stop_ids

    @property
    def longest(self) -> int:
        """The most tokens of a completion."""
        return self._judged.longest

    def first(self) -> Rollout:
        """The first rollout that steps use, made in the weights of now. Errors: those of `at`."""
        if self.proves_only is not None:
            every = np.arange(len(self.proves_only))
            return self._rollout(Update(0, 0, self.proves_only, every))
        cursor = Cursor()
        while not len((update := self._plan.update(cursor)).part):  # all of its prompts are left out
            cursor = self._plan.after(cursor)
        return self._rollout(update)

    def of_dataset(self, cursor: Cursor, rows: Indices) -> Indices:
        update = self._plan.update(cursor)
        return update.prompts[self._places[update.rollout][rows]]

    def metrics(self, cursor: Cursor) -> Mapping[str, float]:
        return self._rollout(self._plan.update(cursor)).metrics

    def digest(self, step: int) -> str:
        made = self._plan.made(step)
        return self._folder.digest(made[-1]) if made else ""

    def begin(self, step: int, beside: Path | None = None, digest: str = "") -> None:
        """Rollouts that no finished step has used are removed, and made again.

        Errors: RunError `run.broken-checkpoint` for a damaged one, or one that the steps did not use,
        `run.other-settings` for one of other prompts.
        """
        update = self._plan.update(self._plan.cursor(step))
        source = self._folder if beside is None else RolloutFolder(beside / self._folder.path.name)
        self._refuse_damage(source, step, update, digest)
        if source.path.resolve() != self._folder.path.resolve():
            self._folder.forget_from(0)
            self._folder.copy_from(source, update.rollout)
        first = update.rollout + (update.number > 0)
        self._folder.forget_from(first)
        if update.number and (stored := self._folder.read(update.rollout)) is not None:
            self._refuse_other_prompts(stored, update)

    def _refuse_damage(self, folder: RolloutFolder, step: int, update: Update, digest: str) -> None:
        """RunError `run.broken-checkpoint` unless the rollouts are whole, and those of the digest in the checkpoint."""
        made, reason = self._plan.made(step), None
        for number in made:
            reason = folder.damage(number, rows=number == update.rollout)
            if reason is not None:
                reason = f"rollout {number}, which steps up to {step} have used, is damaged: {reason}"
                break
        if reason is None and made and digest:
            other = folder.foreign(made[-1], digest)
            if other is not None:
                reason = f"rollout {other} in {folder.path} is not the one that steps up to {step} have used"
                reason = f"{reason}: its record does not match the sha256 in the checkpoint"
        if reason is not None:
            fix = "restore it, name a checkpoint before the first step on it, or set resume: never to start over"
            raise RunError("run.broken-checkpoint", reason, fix)

    def _refuse_other_prompts(self, stored: Rollout, update: Update) -> None:
        """RunError `run.other-settings` unless a rollout that was read is of the prompts of the plan."""
        ids = self._prompts.tokens.row_ids
        planned = [ids[place] for place in update.prompts.tolist()]
        found = dict(zip(stored.prompts.tolist(), stored.rows.row_ids, strict=True))
        if found == dict(enumerate(planned)):
            return
        sampled = list(found.values())
        removed = [name for name in sampled if name not in planned]
        added = [name for name in planned if name not in sampled]
        sides = (("only in the rollout", removed), ("only in the data", added))
        differences = "; ".join(f"{side}: {', '.join(names)}" for side, names in sides if names)
        raise RunError(
            "run.other-settings",
            f"the checkpoint is within rollout {update.rollout}, which was sampled from other prompts than those of "
            f"this run ({differences or 'their order differs'})",
            "resume from a checkpoint before the first step on this rollout, or set resume: never to start over",
        )

    def saved(self, steps: Iterable[int]) -> None:
        """Rows of rollouts that no checkpoint lies within are removed."""
        needed = {self._plan.rollout(step) for step in steps}
        now = {self._now.number} if self._now is not None else set[int]()
        self._folder.forget_rows(needed | now)
        self._places = {number: places for number, places in self._places.items() if number in now}

    def _rollout(self, update: Update) -> Rollout:
        if self._now is None or self._now.number != update.rollout:
            self._now = None if update.number == 0 else self._folder.read(update.rollout)
            if self._now is None:
                self._now = self._made(update)
            else:
                self._refuse_other_prompts(self._now, update)
            self._places[update.rollout] = self._now.prompts
        return self._now

    def _made(self, update: Update) -> Rollout:
        spec, prompts = self._spec, self._prompts.at(update.prompts.tolist())
        seed = seed_of(spec.seed, f"rollout {update.rollout}")
        found = self._judged.sample(
            prompts, spec.group_size, spec.generation.temperature, seed, is_first=update.rollout == 0
        )
        left_out = np.isnan(found.totals)
        if self._masks_truncated and self.proves_only is None:  # otherwise they are truncated early
            left_out |= np.array([answer.end is None for answer in found.answers]).reshape(left_out.shape)
        made = self._estimate(self._rows(found, left_out.flatten()), found, left_out)
        entropy = [-value for answer in found.answers for value in answer.log_probs]
        metrics = {**found.metrics(), **made.metrics, "entropy": float(np.mean(entropy))}
        places = np.repeat(np.arange(len(prompts)), spec.group_size // self._width)
        rollout = Rollout(update.rollout, made.rows, places, made.used, metrics)
        self._folder.save(rollout, lines(found, made, left_out, rollout.number, self._plan.step(update)))
        if self.proves_only is None:
            warn_of_first(self._folder, self._judged.emit)
        return rollout

    def _rows(self, found: Sampled, left_out: NDArray[np.bool_]) -> TokenisedRows:
        """Prompt and completion of each answer; of one that is left out the prompt alone, so that nothing is learned.

        The token that ended a completion was sampled, and is learned.
        """
        sequences: list[tuple[NDArray[np.int32], NDArray[np.float32]]] = []
        engine: list[NDArray[np.float32]] = []
        for place, answer in enumerate(found.answers):
            prompt = found.prompts[place // found.copies].ids
            said = [] if left_out[place] else answer.ids + ([] if answer.end is None else [answer.end])
            ids = np.array(prompt + said, np.int32)
            sequences.append((ids, (np.arange(len(ids)) >= len(prompt)).astype(np.float32)))
            likely = np.zeros(len(ids), np.float32)
            likely[len(prompt) :] = answer.log_probs[: len(said)]
            engine.append(likely)
        names = [prompt.row["id"] for prompt in found.prompts for _ in range(found.copies // self._width)]
        groups = [sequences[start : start + self._width] for start in range(0, len(sequences), self._width)]
        rows = replace(TokenisedRows.of_groups(zip(names, groups, strict=True), self._width), may_part=True)
        return rows.with_token_values(**{ENGINE: np.concatenate(engine)})


def lines(
    found: Sampled, made: Estimated, left_out: NDArray[np.bool_], rollout: int, step: int
) -> Iterable[dict[str, Any]]:
    """The prompts of a rollout with their completions, as the rollout ledger keeps them; `step` is its first one."""
    copies = found.copies
    per = copies // made.rows.width
    for group, prompt in enumerate(found.prompts):
        completions: list[dict[str, Any]] = []
        for copy in range(copies):
            place = group * copies + copy
            answer, rewards = found.answers[place], found.rewards
            completions.append(
                {
                    "text": answer.text,
                    "finish_reason": answer.finish_reason,
                    "tokens": len(answer.ids),
                    "reward": rewards.totals[place],
                    **{name: _known(numbers[group, copy]) for name, numbers in made.completions.items()},
                    "learned": bool(made.used[group * per] and not left_out[group, copy]),
                    "rewards": {name: values[place].value for name, values in rewards.values.items()},
                    "why": {name: values[place].why for name, values in rewards.values.items()},
                }
            )
        yield {
            "rollout": rollout,
            "step": step,
            "id": prompt.row["id"],
            "source": prompt.row["source"],
            "prompt": prompt.messages,
            "reference": prompt.reference,
            "completions": completions,
        }


def _known(number: float) -> float | None:
    """A number of a line; None for NaN, which JSON does not have."""
    return None if np.isnan(number) else float(number)
