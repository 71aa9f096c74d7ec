"""dpo: train a model to prefer the chosen answer of each pair, relative to a reference model."""

from burnish.core.context import Context, Outcome
from burnish.specs.preferences import DpoSpec
from burnish.stages.tokens.rendering import PAIRS
from burnish.stages.train.references import Reference
from burnish.stages.train.run import Run
from burnish.train.objectives.dpo import Dpo


def run(spec: DpoSpec, ctx: Context) -> Outcome:
    """Train on the preference rows of the train split; save the adapter, or the whole model, with its tokenizer."""
    run = Run.of(spec, ctx, PAIRS)
    if spec.reference_log_probs == "each_step" and spec.reference == "base":
        return run.train(Dpo(spec))
    return run.train(Dpo(spec), Reference(run).complete)
