"""sft: fine-tune a model on conversations or texts, with an adapter or whole."""

from burnish.core.context import Context, Outcome
from burnish.models.bases import tokenizer_folder
from burnish.specs.train import SftSpec
from burnish.stages.train.training import (
    base_model,
    config_of,
    resolve_run,
    save,
    start_of,
    tokenised,
    trained_tokens,
    with_method,
)
from burnish.tokens.load import load_tokenizer
from burnish.train.fit import fit, seed_everything


def run(spec: SftSpec, ctx: Context) -> Outcome:
    """Train on the train split; save the adapter, or the whole model, with its tokenizer."""
    base = ctx.input("base")
    tokenizer = load_tokenizer(tokenizer_folder(base))
    tokens = trained_tokens(tokenizer, spec.method, ctx)
    rows, held_out = tokenised(spec, ctx, tokenizer)
    trains_all = spec.method.kind in ("full", "freeze")
    resolved = resolve_run(spec, ctx, config_of(base), rows, held_out, trains_all)

    seed_everything(spec.seed)
    model = with_method(base_model(base, spec.method, resolved), spec.method, ctx, tokens)
    fitted = fit(spec, ctx, model, rows, held_out, resolved, start_of(base, resolved))
    return save(model, tokenizer, base, ctx, fitted)
