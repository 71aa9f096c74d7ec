"""A training on rollouts, shared by the stages grpo and ppo: prompts, rewards, the reference."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from burnish.core.context import Context, Input, Outcome
from burnish.core.errors import BurnishError
from burnish.data.dataset import open_rows
from burnish.specs.rl import RolloutSpec
from burnish.stages.tokens.rendering import PROMPTS
from burnish.stages.train.references import passes_of, warn_of_other_quantization
from burnish.stages.train.run import Run
from burnish.tokens.rendering.renderer import Renderer
from burnish.tokens.tokenised import TokenisedRows
from burnish.train.objectives.objective import Objective
from burnish.train.passes import ForwardPasses, Passes
from burnish.train.rewards.build import build_rewards, close_rewards
from burnish.train.rewards.reference import reference_of
from burnish.train.rewards.reward import counts_of
from burnish.train.rollout.estimate import MakeEstimator
from burnish.train.rollout.per_token import ReferencePass, log_probs
from burnish.train.rollout.prompts import Prompts
from burnish.train.rollout.source import RolloutSource


class RolloutRun:
    """A training on rollouts: its prompts are rendered and kept with their rows."""

    def __init__(self, spec: RolloutSpec, ctx: Context, kind: type[Run] = Run):
        self._spec, self._ctx = spec, ctx
        self._prompts: dict[str, Prompts] = {}
        self._run = kind.of(spec, ctx, PROMPTS, self._keep, more_tokens=spec.generation.max_new_tokens)

    def train(self, objective: Objective, make_estimator: MakeEstimator) -> Outcome:
        """Build the rewards, train, and save."""
        spec, ctx, run = self._spec, self._ctx, self._run
        rewards = build_rewards(spec.rewards, ctx, device=run.resolved.device, date=spec.render.date)
        try:
            source = RolloutSource(
                spec,
                self._prompts["train"],
                self._prompts["validation"] if run.held_out is not None else None,
                rewards,
                run.tokenizer,
                Renderer(run.tokenizer, spec.render).stop_ids,
                make_estimator,
                folder=ctx.scratch / "rollouts",
                micro_batch_tokens=run.resolved.micro_batch_tokens,
                reference=self._reference,
            )
            outcome = run.train(objective, source=source)
            return replace(outcome, measures={**outcome.measures, **counts_of(rewards)})
        finally:
            close_rewards(rewards)

    def _keep(self, split: str, rows: TokenisedRows, data: Input, renderer: Renderer) -> None:
        """Keep the rows of a split: the dataset is not read any more once training begins."""
        column = self._spec.answer

        def reference(row: Any) -> str | None:
            try:
                return reference_of(row, column, renderer.answer)
            except BurnishError as error:
                raise error.at(row["source"]) from error

        file = Path(self._ctx.scratch / "prompts" / f"{split}.jsonl")
        self._prompts[split] = Prompts.write(rows, open_rows(data, split), reference, file)

    def _reference(self, passes: Passes) -> ReferencePass | None:
        """How the reference's log-probabilities are computed: with the adapter switched off, or by another model."""
        spec, run = self._spec, self._run
        if not spec.kl_coefficient:
            return None
        model: Any = passes.scorer.model
        if spec.reference == "base" and hasattr(model, "disable_adapter"):
            return _without_adapter(passes, spec.generation.temperature)
        other = run.base if spec.reference == "base" else self._ctx.input("reference")
        if spec.reference != "base":
            warn_of_other_quantization(run, other)
        longest = max(split.longest for split in self._prompts.values()) + spec.generation.max_new_tokens
        theirs: ForwardPasses = passes_of(run, other, longest, spec.group_size, passes.state)
        return lambda rows: log_probs(theirs, rows, spec.generation.temperature)


def _without_adapter(passes: Passes, temperature: float) -> ReferencePass:
    model: Any = passes.scorer.model

    def compute(rows: TokenisedRows) -> Any:
        with model.disable_adapter():
            return log_probs(passes, rows, temperature)

    return compute
