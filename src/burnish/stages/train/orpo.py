"""orpo: fine-tune a model on chosen answers and penalise rejected ones by their odds, without a reference."""

from burnish.core.context import Context, Outcome
from burnish.specs.preferences import OrpoSpec
from burnish.stages.tokens.rendering import PAIRS
from burnish.stages.train.run import Run
from burnish.train.objectives.orpo import Orpo


def run(spec: OrpoSpec, ctx: Context) -> Outcome:
    """Train on the preference rows of the train split; save the adapter, or the whole model, with its tokenizer."""
    return Run.of(spec, ctx, PAIRS).train(Orpo(spec))
