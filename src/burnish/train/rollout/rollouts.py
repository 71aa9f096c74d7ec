"""Makes rollouts during a training: sample, reward, compare, and give the rows of each step.

prompts of the plan → completions in the weights of now → rewards → advantages → rows, published → steps
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.core.errors import MachineError, RunError
from burnish.core.events import Progress
from burnish.models.engines.protocol import Answer
from burnish.specs.rl import GrpoSpec
from burnish.tokens.tokenised import Indices, TokenisedRows
from burnish.train.batches import Batch, Cursor
from burnish.train.checkpoints.checkpoint import capture_randomness, restore_randomness
from burnish.train.objectives.grpo import ADVANTAGE, ENGINE, OLD, REFERENCE, REWARD, kl
from burnish.train.passes import ForwardPasses
from burnish.train.rewards.reward import Completion, Reward, Rewards, total
from burnish.train.rollout.advantages import group_advantages
from burnish.train.rollout.plan import RolloutPlan, Update
from burnish.train.rollout.prompts import Prompt, Prompts
from burnish.train.rollout.sampler import Sampler, seed_of
from burnish.train.rollout.store import Rollout, RolloutFolder

ReferencePass = Callable[[TokenisedRows], NDArray[np.float32]]
"""Log-probabilities of the reference of the learned tokens, in their order."""


@dataclass(frozen=True)
class Sampled:
    """Completions of prompts, `copies` of each, with their rewards; in the order of the prompts."""

    prompts: list[Prompt]
    answers: list[Answer]
    rewards: Rewards

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
        values["answer_tokens"] = float(np.mean([len(answer.ids) for answer in self.answers]))
        values["truncated"] = float(np.mean([answer.end is None for answer in self.answers]))
        values["unrewarded"] = len(self.rewards.unrewarded) / len(self.answers)
        return values


class Judged:
    """Samples completions and rewards them."""

    def __init__(self, sampler: Sampler, rewards: Sequence[Reward], passes: ForwardPasses):
        self._sampler, self._rewards, self._passes = sampler, rewards, passes

    def sample(
        self, prompts: list[Prompt], copies: int, temperature: float, seed: int, phase: str = "rollout"
    ) -> Sampled:
        """`copies` completions of each prompt. Errors: those of the sampler and of `total`; StopAskedError."""
        emit = self._passes.emit

        def progress(done: int, total: int) -> None:
            self._passes.raise_if_stopping()
            emit(Progress(phase=phase, done=done, total=total, unit="completions"))

        asked = [prompt.ids for prompt in prompts for _ in range(copies)]
        answers = self._sampler.sample(asked, temperature, seed, progress)
        completions = [
            Completion(prompt.row, prompt.messages, answer.text, answer.ids, answer.finish_reason, prompt.reference)
            for prompt, answer in zip([p for p in prompts for _ in range(copies)], answers, strict=True)
        ]
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
                "set `answer` to the column with the reference, or use rewards that need none",
            )
        return Sampled(prompts, answers, rewards)


class Rollouts:
    """The material of a training on rollouts."""

    is_fixed = False

    def __init__(
        self,
        spec: GrpoSpec,
        prompts: Prompts,
        judged: Judged,
        plan: RolloutPlan,
        folder: RolloutFolder,
        passes: ForwardPasses,
        reference: ReferencePass | None,
        width: int,
    ):
        self._spec, self._prompts, self._judged, self._plan = spec, prompts, judged, plan
        self._folder, self._passes, self._reference, self._width = folder, passes, reference, width
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

    def of_dataset(self, cursor: Cursor, rows: Indices) -> Indices:
        update = self._plan.update(cursor)
        return update.prompts[self._places[update.rollout][rows]]

    def metrics(self, cursor: Cursor) -> Mapping[str, float]:
        return self._rollout(self._plan.update(cursor)).metrics

    def begin(self, step: int, beside: Path | None = None) -> None:
        """Rollouts that no finished step has used are removed, and made again.

        Errors: RunError `run.broken-checkpoint` for a damaged one, `run.other-settings` for one of other prompts.
        """
        update = self._plan.update(self._plan.cursor(step))
        if beside is not None:
            other = RolloutFolder(beside / self._folder.path.name)
            if other.path.resolve() != self._folder.path.resolve():
                self._folder.forget_from(0)
                self._folder.copy_from(other, update.rollout)
        first = update.rollout + (update.number > 0)
        self._folder.forget_from(first)
        for number in self._plan.made(step):
            reason = self._folder.damage(number, rows=number == update.rollout)
            if reason is not None:
                raise RunError(
                    "run.broken-checkpoint",
                    f"rollout {number}, which steps up to {step} have used, is damaged: {reason}",
                    "name an earlier checkpoint, or set resume: never to start over",
                )
        if update.number and (stored := self._folder.read(update.rollout)) is not None:
            self._refuse_other_prompts(stored, update)

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
        updates = [self._plan.update(self._plan.cursor(step)) for step in steps]
        needed = {update.rollout for update in updates}
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
        found = self._judged.sample(prompts, spec.group_size, spec.generation.temperature, seed)
        left_out = np.isnan(found.totals)
        if spec.mask_truncated:
            left_out |= np.array([answer.end is None for answer in found.answers]).reshape(left_out.shape)
        rows = self._rows(found, left_out.flatten())
        every = np.arange(len(rows))
        learned = rows.learned_tokens(every)
        metrics, totals = found.metrics(), found.totals
        old = None
        if self._plan.updates > 1 or (self._reference is not None and spec.kl_in == "reward"):
            old = log_probs(self._passes, rows, spec.generation.temperature)
            rows = rows.with_token_values(**{OLD: spread(rows, learned, old)})
        if self._reference is not None:
            reference = self._reference(rows)
            rows = rows.with_token_values(**{REFERENCE: spread(rows, learned, reference)})
            if spec.kl_in == "reward" and old is not None:
                penalty = _sums(rows, learned, kl_of(old - reference, spec.kl_estimator))
                totals = totals - spec.kl_coefficient * penalty.reshape(totals.shape)
                totals[left_out] = np.nan  # without tokens they have no penalty: they take no part in the baseline
                if not left_out.all():
                    metrics["reward_with_kl"] = float(np.nanmean(totals))
        advantages = group_advantages(totals, spec.baseline, spec.advantage_scale)
        groups, per = len(prompts), spec.group_size // self._width
        metrics["equal_groups"] = float(advantages.equal.mean())
        entropy = [-value for answer in found.answers for value in answer.log_probs]
        metrics["entropy"] = float(np.mean(entropy))
        values = {ADVANTAGE: advantages.values, REWARD: totals.astype(np.float32)}
        rows = rows.with_values(**{name: array.reshape(-1, self._width) for name, array in values.items()})
        used = np.repeat(~advantages.equal, per) if spec.drop_equal_groups else np.ones(groups * per, np.bool_)
        rollout = Rollout(update.rollout, rows, np.repeat(np.arange(groups), per), used, metrics)
        step = self._plan.step(update)
        self._folder.save(rollout, lines(found, advantages.values, left_out, rollout, step))
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


def log_probs(passes: ForwardPasses, rows: TokenisedRows, temperature: float) -> NDArray[np.float32]:
    """The log-probability of each learned token [K] under the model of `passes`, without dropout."""
    every = np.arange(len(rows))
    places = np.full(len(rows.ids), -1, np.int64)
    learned = rows.learned_tokens(every)
    places[learned] = np.arange(len(learned))
    values = np.zeros(len(learned), np.float32)

    def run(batch: Batch) -> Any:
        return -passes.scorer.token_losses(batch, temperature)

    try:
        results = passes.each(rows, every, run)
    except MachineError as error:
        if error.code != "machine.no-memory" or rows.width == 1:
            raise
        return log_probs(passes, rows.apart(), temperature)  # one completion of a prompt at a time
    for part, found in results:
        values[places[rows.learned_tokens(part)]] = found.float().cpu().numpy()
    return values


def spread(rows: TokenisedRows, learned: Indices, numbers: NDArray[np.float32]) -> NDArray[np.float32]:
    """Numbers of the learned tokens as values of all tokens."""
    values = np.zeros(len(rows.ids), np.float32)
    values[learned] = numbers
    return values


def kl_of(difference: NDArray[np.float32], estimator: Any) -> NDArray[np.float32]:
    """`kl` of an array."""
    import torch

    return kl(torch.from_numpy(difference), estimator).numpy()


def _sums(rows: TokenisedRows, learned: Indices, numbers: NDArray[np.float32]) -> NDArray[np.float64]:
    """The sum of numbers of the learned tokens over each sequence."""
    sequences = np.searchsorted(rows.offsets, learned, side="right") - 1
    return np.bincount(sequences, numbers.astype(np.float64), minlength=len(rows.offsets) - 1).astype(np.float64)


def lines(
    found: Sampled, advantages: NDArray[np.float32], left_out: NDArray[np.bool_], rollout: Rollout, step: int
) -> Iterable[dict[str, Any]]:
    """The prompts of a rollout with their completions, as the rollout ledger keeps them; `step` is its first one."""
    copies = found.copies
    per = copies // rollout.rows.width
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
                    "advantage": float(advantages[group, copy]),
                    "learned": bool(rollout.used[group * per] and not left_out[group, copy]),
                    "rewards": {name: values[place].value for name, values in rewards.values.items()},
                    "why": {name: values[place].why for name, values in rewards.values.items()},
                }
            )
        yield {
            "rollout": rollout.number,
            "step": step,
            "id": prompt.row["id"],
            "source": prompt.row["source"],
            "prompt": prompt.messages,
            "reference": prompt.reference,
            "completions": completions,
        }
