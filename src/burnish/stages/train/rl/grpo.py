"""grpo: train a model on rewards of completions that it samples."""

from burnish.core.context import Context, Outcome
from burnish.specs.rl import GrpoSpec
from burnish.stages.train.rl.rollout_run import RolloutRun
from burnish.train.objectives.grpo import Grpo
from burnish.train.rollout.groups import GroupAdvantages


def run(spec: GrpoSpec, ctx: Context) -> Outcome:
    """Train on the prompts of the train split; save the adapter, or the whole model, with its tokenizer."""
    return RolloutRun(spec, ctx).train(Grpo(spec), GroupAdvantages)
