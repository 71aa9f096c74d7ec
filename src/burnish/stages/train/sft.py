"""sft: fine-tune a model on conversations or texts, with an adapter or whole."""

from burnish.core.context import Context, Outcome
from burnish.specs.train import SftSpec
from burnish.stages.tokens.rendering import TEXTS
from burnish.stages.train.run import Run


def run(spec: SftSpec, ctx: Context) -> Outcome:
    """Train on the train split; save the adapter, or the whole model, with its tokenizer."""
    return Run.of(spec, ctx, TEXTS).train()
