"""The source of a training on rollouts: prompts, rewards, and the reference of the KL divergence."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from burnish.core.events import Note
from burnish.specs.rl import RolloutSpec
from burnish.train.batches import Material, StepPlan, Visits
from burnish.train.passes import Passes
from burnish.train.proofs.sample import tokens_of_sample
from burnish.train.rewards.reward import Reward
from burnish.train.rollout.equal import report_all
from burnish.train.rollout.estimate import MakeEstimator
from burnish.train.rollout.judged import HeldOutPrompts, Judged
from burnish.train.rollout.ledger import NAME, publish
from burnish.train.rollout.per_token import ReferencePass
from burnish.train.rollout.plan import RolloutPlan
from burnish.train.rollout.prompts import Prompts
from burnish.train.rollout.rollouts import Rollouts
from burnish.train.rollout.sampler import Sampler
from burnish.train.rollout.store import RolloutFolder
from burnish.train.source import HeldOut

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class RolloutSource:
    """Makes the rows of each step from prompts; `reference` is called with the passes of the untrained model."""

    def __init__(
        self,
        spec: RolloutSpec,
        prompts: Prompts,
        held_out: Prompts | None,
        rewards: Sequence[Reward],
        tokenizer: "PreTrainedTokenizerBase",
        stop_ids: Sequence[int],
        make_estimator: MakeEstimator,
        *,
        folder: Path,
        micro_batch_tokens: int,
        reference: Callable[[Passes], ReferencePass | None] = lambda passes: None,
    ):
        self._spec, self._prompts, self._held_out = spec, prompts, held_out
        self._rewards, self._tokenizer, self._stop_ids = rewards, tokenizer, stop_ids
        self._folder, self._reference, self._make_estimator = RolloutFolder(folder), reference, make_estimator
        longest = max(split.longest for split in (prompts, held_out) if split is not None)
        self.longest = longest + spec.generation.max_new_tokens
        self.width = _width(spec.group_size, self.longest, micro_batch_tokens)

    def plan(self, **settings: Any) -> StepPlan:
        lengths, spec = self._prompts.tokens.lengths, self._spec
        return RolloutPlan(lengths, mini_batches=spec.mini_batches, passes=spec.passes, **settings)

    def open(
        self, passes: Passes, plan: StepPlan, visits: Visits, only_proves: bool = False
    ) -> tuple[Material, HeldOut | None]:
        spec, self._emit = self._spec, passes.emit
        assert isinstance(plan, RolloutPlan)
        rates = [module.p for module in passes.scorer.model.modules() if isinstance(module, nn.Dropout)]
        if plan.updates > 1 and any(rates):
            text = "dropout changes the probabilities between the steps on a rollout, and so their ratios"
            passes.emit(Note(level="warning", text=f"{text}: set method.dropout to 0"))
        sampling = spec.generation
        if spec.max_engine_ratio is not None and (sampling.top_p < 1 or sampling.top_k is not None):
            text = "generation.top_p and generation.top_k change the probabilities of what is sampled"
            passes.emit(Note(level="warning", text=f"{text}; max_engine_ratio does not correct for it"))
        sampler = Sampler(passes, self._tokenizer, sampling, self._stop_ids)
        judged = Judged(sampler, self._rewards, passes)
        width = self.width if passes.scorer.shares_prompts else 1
        reference = self._reference(passes)
        estimate = self._make_estimator(spec, passes, reference, plan.updates)
        rollouts = Rollouts(spec, self._prompts, judged, plan, self._folder, estimate, width)
        rollouts.reference = reference
        if only_proves:
            rollouts.proves_only = visits.used.rows
            sampler.shorten(tokens_of_sample(passes.scorer.model) // 4)
        if self._held_out is None:
            return rollouts, None
        return rollouts, HeldOutPrompts(self._held_out, judged, spec.eval_temperature, spec.seed)

    def publish(self, folder: Path, steps: int) -> None:
        """Write every completion of the run to `rollouts.parquet`, one line each."""
        report_all(self._folder, self._emit)
        publish(self._folder, folder / NAME)


def _width(group_size: int, longest: int, micro_batch_tokens: int) -> int:
    """Completions of a row, whose prompt is computed once: as many as fit into a micro-batch, dividing the group."""
    fitting = max(1, micro_batch_tokens // longest)
    return max(width for width in range(1, group_size + 1) if group_size % width == 0 and width <= fitting)
