"""pretrain: teach a model from random weights, or go on teaching one, on texts and conversations."""

from typing import TYPE_CHECKING

from burnish.core.context import Context, Outcome
from burnish.core.errors import AskError
from burnish.models.adapters import tokenizer_folder
from burnish.models.load import load_model, quiet_transformers
from burnish.specs.train import PretrainSpec
from burnish.stages.training import config_of, resolve_run, save, tokenised, with_method
from burnish.tokens.load import load_tokenizer
from burnish.train.fit import fit, seed_everything

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerBase


def run(spec: PretrainSpec, ctx: Context) -> Outcome:
    """Train on the data's train split; give the whole model (or the adapter) with its tokenizer."""
    base = ctx.input("base") if spec.base is not None else None
    tokenizer = load_tokenizer(tokenizer_folder(ctx.input("tokenizer" if spec.tokenizer is not None else "base")))
    rows, held_out = tokenised(spec, ctx, tokenizer)
    config = config_of(base) if base is not None else new_config(spec, tokenizer)
    resolved = resolve_run(spec, ctx, config, rows, held_out, spec.method.kind == "full")

    seed_everything(spec.seed)
    if base is not None:
        model = load_model(base, dtype=resolved.dtype, device=resolved.device)
    else:
        from transformers import AutoModelForCausalLM

        model = AutoModelForCausalLM.from_config(config).to(device=resolved.device, dtype=resolved.dtype)
    model = with_method(model, spec.method)
    fitted = fit(spec, ctx, model, rows, held_out, resolved)
    return save(model, tokenizer, base, ctx, fitted)


def new_config(spec: PretrainSpec, tokenizer: "PreTrainedTokenizerBase") -> "PretrainedConfig":
    """The config of a new architecture; vocabulary and special tokens are the tokenizer's unless said.

    Errors: AskError `ask.missing-key` without a model_type, `ask.wrong-value` when transformers refuses the config.
    """
    from transformers import AutoConfig

    settings = dict(spec.architecture or {})
    family = settings.pop("model_type", None)
    if family is None:
        raise AskError("ask.missing-key", "architecture has no model_type", "add one, such as model_type: qwen3")
    known = {
        "vocab_size": len(tokenizer),
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    try:
        with quiet_transformers():
            return AutoConfig.for_model(family, **{**known, **settings})
    except (ValueError, TypeError, KeyError) as error:
        raise AskError(
            "ask.wrong-value",
            f"transformers refuses the architecture: {error}",
            f"see the config of {family} in the documentation of transformers",
        ) from error
