"""simpo: train a model to prefer the chosen answer of each pair by a margin, without a reference."""

from burnish.core.context import Context, Outcome
from burnish.core.events import Chosen
from burnish.specs.preferences import SimpoSpec
from burnish.stages.tokens.rendering import PAIRS
from burnish.stages.train.run import Run
from burnish.train.objectives.simpo import Simpo


def run(spec: SimpoSpec, ctx: Context) -> Outcome:
    """Train on the preference rows of the train split; save the adapter, or the whole model, with its tokenizer."""
    objective = Simpo(spec)
    if spec.beta is None:
        ctx.emit(Chosen(field="beta", value=objective.beta, reason=f"usual for loss: {spec.loss}"))
    return Run.of(spec, ctx, PAIRS).train(objective)
