"""ppo: train a model and a value head on rewards of completions that it samples."""

from pathlib import Path
from typing import Any

from torch import nn

from burnish.core.context import Context, Outcome
from burnish.core.events import Chosen
from burnish.models.probing import causal_model
from burnish.models.value_head import add_value_head, has_value_head, save_value_head, without_value_head
from burnish.specs.rl import PpoSpec
from burnish.stages.train.rl.rollout_run import RolloutRun
from burnish.stages.train.run import Run
from burnish.train.objectives.ppo import Ppo
from burnish.train.rollout.critic import TokenAdvantages


def run(spec: PpoSpec, ctx: Context) -> Outcome:
    """Train on the prompts of the train split; save the adapter, or the whole model, and the value head beside it."""
    return RolloutRun(spec, ctx, WithValues).train(Ppo(spec), TokenAdvantages)


class WithValues(Run):
    """The training of a model with a value head."""

    def made(self, ctx: Context) -> nn.Module:
        model, spec = super().made(ctx), self.spec
        assert isinstance(spec, PpoSpec)
        is_kept = spec.value_head == "base" and has_value_head(self.base)
        add_value_head(causal_model(model), self.base if is_kept else None)  # after the adapter, which would cover it
        if spec.value_head == "base":
            reason = f"it is saved with {self.base.ref}" if is_kept else "the base has none"
            ctx.emit(Chosen(field="value_head", value="base" if is_kept else "zeros", reason=reason))
        return model

    def write(self, model: Any, folder: Path) -> None:
        with without_value_head(causal_model(model)) as head:
            super().write(model, folder)
        save_value_head(head, folder)
